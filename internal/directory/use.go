package directory

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/foodflow/foodflow/internal/plant"
)

// UseEvery is how far apart the uses of one key are that are noted: the minute is
// as much as anyone asks for, and a use in between costs one comparison.
const UseEvery = time.Minute

// Use is that a key was used.
type Use struct {
	Tenant, Key plant.ID
	At          int64 // Unix milliseconds
}

// uses are those that were noted and not yet taken.
type uses struct {
	mu   sync.Mutex // guards seen
	seen map[plant.ID]Use
}

// Using notes that a key is being used. Authenticate does it; who authenticated
// once and stays calls it as long as the key is put to use. The key's own cell
// says when that was noted last; a clock that was set back is believed.
func (s *Store) Using(p Principal, now time.Time) {
	if p.noted == nil {
		return
	}
	at, last := now.UnixMilli(), p.noted.Load()
	if since := at - last; since >= 0 && since < UseEvery.Milliseconds() {
		return
	}
	if !p.noted.CompareAndSwap(last, at) {
		return // another request has just noted it
	}
	s.uses.mu.Lock()
	defer s.uses.mu.Unlock()
	s.uses.seen[p.KeyID] = Use{Tenant: p.Tenant, Key: p.KeyID, At: at}
}

// TakeUses gives what was noted since it was called last, the newest use of each
// key.
func (s *Store) TakeUses() map[plant.ID]Use {
	s.uses.mu.Lock()
	defer s.uses.mu.Unlock()
	if len(s.uses.seen) == 0 {
		return nil
	}
	seen := s.uses.seen
	s.uses.seen = map[plant.ID]Use{}
	return seen
}

// keepNoted hands a key's cell on to its next version.
func (s *Store) keepNoted(k *APIKey) {
	if old, ok := findID(s, &s.keys, k.ID); ok {
		k.noted = old.noted
		return
	}
	k.noted = new(atomic.Int64)
}
