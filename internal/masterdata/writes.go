package masterdata

import (
	"sync"
	"time"

	"github.com/foodflow/foodflow/internal/plant"
)

// writes remembers when each tenant last wrote through this process, so that it
// reads what it wrote, work on the stream included: a replica that is at most so
// far behind holds everything that is older. Readers at other processes are seen
// to by postgres.Settle.
type writes struct {
	mu   sync.Mutex // guards last
	last map[plant.ID]time.Time
}

// note is called when a transaction that writes has ended.
func (w *writes) note(tenant plant.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last[tenant] = time.Now()
}

// recent says whether the tenant wrote within lag. The map has one entry a
// tenant.
func (w *writes) recent(tenant plant.ID, lag time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ok := w.last[tenant]
	return ok && time.Since(at) <= lag
}
