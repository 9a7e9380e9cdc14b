package auth

import (
	"context"
	"sync"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
)

const (
	// usedEvery is how often the last use of keys is written down.
	usedEvery = time.Minute
	// maxUsed bounds the keys remembered between two writes.
	maxUsed = 100_000
)

// usage remembers when keys were last used.
type usage struct {
	mu   sync.Mutex // guards seen
	seen map[plant.ID]map[plant.ID]time.Time
	n    int
}

func (u *usage) note(p directory.Principal, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	keys := u.seen[p.Tenant]
	if keys == nil {
		keys = map[plant.ID]time.Time{}
		u.seen[p.Tenant] = keys
	}
	if _, had := keys[p.KeyID]; !had {
		if u.n >= maxUsed {
			return // bookkeeping gives way to memory
		}
		u.n++
	}
	keys[p.KeyID] = at
}

// take empties it.
func (u *usage) take() map[plant.ID]map[plant.ID]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	seen := u.seen
	u.seen, u.n = map[plant.ID]map[plant.ID]time.Time{}, 0
	return seen
}

// Run writes down the last use of keys until the context ends; it returns nil
// then. What each process has seen lies in its memory, so this is no job.
func (s *Service) Run(ctx context.Context) error {
	used := time.NewTicker(usedEvery)
	defer used.Stop()
	for {
		select {
		case <-ctx.Done():
			// The last minute's uses, if Postgres is quick.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			s.flushUsed(last)
			cancel()
			return nil
		case <-used.C:
			s.flushUsed(ctx)
		}
	}
}

// flushUsed writes; what can't be written is given up, for the next use brings
// it again.
func (s *Service) flushUsed(ctx context.Context) {
	for tenant, keys := range s.used.take() {
		if err := s.store.Used(ctx, tenant, keys); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "use of keys not written", "error", err)
		}
	}
}
