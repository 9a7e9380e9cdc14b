package postgres

import (
	"context"
	"time"
)

type followedKey struct{}

// Followed marks changes under the context as such that their maker may read of
// next, from whatever process it reaches.
func Followed(ctx context.Context) context.Context {
	return context.WithValue(ctx, followedKey{}, true)
}

// Settle waits after a change, committed under a context that Followed marked,
// until no process reads of the replica what was before it: because the replica
// holds the change, mostly within milliseconds, or because so much time has
// passed that a replica which doesn't is too old to be read. So every process
// needs the same lag, and the replica's address must be one server's. Without a
// replica there is nothing to wait for.
func (db *DB) Settle(ctx context.Context) {
	if db.replica == nil || ctx.Value(followedKey{}) == nil {
		return
	}
	began := time.Now()
	db.replica.settle(ctx)
	db.replica.waits.Observe(time.Since(began).Seconds())
}

func (r *replica) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.maxLag)
	defer cancel()
	lsn, err := position(ctx, r.primary, insertedTo)
	if err != nil { // not known: the time alone makes it sure
		<-ctx.Done()
		return
	}
	lsn = recordEnd(lsn)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if replayed, err := position(ctx, r.pool, replayedTo); err == nil && replayed >= lsn {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
