package stream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
)

// snapshotting is a snapshot on its way to the store. The worker goes on
// meanwhile; the ledger names the snapshot only once it is stored.
type snapshotting struct {
	at   []int64 // offsets it covers
	size int
	// purges says that the snapshot before has state that must go.
	purges bool
	// names says that it covers dead records which no ledger names.
	names bool
	done  chan struct{} // closed by the storing goroutine
	ref   Ref           // set before done is closed
	err   error         // likewise
}

// finished is closed when the snapshot is stored; nil (never) without one.
func (s *snapshotting) finished() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.done
}

// maySnapshot adopts a stored snapshot and begins the next when it is due: by
// time and records, because state was let go of, or because the ledger grows near its limit, in which case
// the worker waits for it.
func (w *worker) maySnapshot(ctx context.Context) error {
	if err := w.purge(); err != nil {
		return err
	}
	full := len(w.ledger.encode()) > maxLedger
	if w.snap != nil {
		if full {
			select {
			case <-w.snap.done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		select {
		case <-w.snap.done:
			return w.adopt(ctx)
		default:
			return nil
		}
	}
	age := time.Since(w.lastSnap)
	due := (w.sinceSnap >= w.cfg.SnapshotRecords || w.unnamed) && age >= w.cfg.SnapshotEvery || w.sinceSnap > 0 && age >= w.cfg.SnapshotQuiet
	if !due && !full && !w.purged {
		return nil
	}
	return w.beginSnapshot(ctx)
}

// purgeEvery is how often a slot without records asks whether state must go.
const purgeEvery = time.Second

// purge lets the task drop what it may no longer keep.
func (w *worker) purge() error {
	p, ok := w.task.(Purger)
	if !ok {
		return nil
	}
	purged, err := p.Purge()
	if err != nil {
		return fmt.Errorf("letting go of state: %w", err)
	}
	w.purged = w.purged || purged
	return nil
}

// beginSnapshot copies the state as of now and stores it in the background.
func (w *worker) beginSnapshot(ctx context.Context) error {
	if err := fault.Point("stream.before_snapshot"); err != nil {
		return err
	}
	state, err := w.task.AppendState(nil)
	if err != nil {
		return fmt.Errorf("taking snapshot: %w", err)
	}
	s := &snapshotting{at: slices.Clone(w.pos), size: len(state), purges: w.purged, names: w.unnamed, done: make(chan struct{})}
	w.snap, w.lastSnap, w.sinceSnap, w.purged, w.unnamed = s, time.Now(), 0, false, false
	go func() {
		defer close(s.done)
		s.ref, s.err = w.store.Save(ctx, w.slot.Partition, state)
	}()
	return nil
}

// adopt enters a stored snapshot in the ledger and commits it; the snapshot
// before is forgotten only then.
func (w *worker) adopt(ctx context.Context) error {
	s := w.snap
	w.snap = nil
	if s.err != nil {
		// The old snapshot and the journal still hold; the next one is tried soon.
		if len(w.ledger.encode()) > maxLedger {
			return fmt.Errorf("storing snapshot: %w", s.err)
		}
		w.logger.Warn("snapshot not stored", "partition", w.slot.Partition, "error", s.err)
		w.sinceSnap, w.purged, w.unnamed = w.cfg.SnapshotRecords, w.purged || s.purges, w.unnamed || s.names
		return nil
	}
	if err := fault.Point("stream.after_snapshot"); err != nil {
		return err // it is stored, and no ledger names it
	}
	old := w.ledger.snap
	w.ledger.rebase(s.ref, s.at)
	if err := w.commit(ctx); err != nil {
		return err
	}
	w.m.snapshots.Inc()
	w.m.snapBytes.Set(float64(s.size))
	if old != (Ref{}) {
		w.store.Forget(ctx, w.slot.Partition, old)
	}
	return nil
}

// mostSpans is how many spans of dead records a batch may add to the ledger, of some
// four bytes each: two batches' must fit behind maxLedger. After a batch with more
// a snapshot is taken as soon as it may, and at the end of the slot.
const mostSpans = 50

// stored waits for the snapshot that is under way, if there is one.
func (w *worker) stored(ctx context.Context) error {
	if w.snap == nil {
		return nil
	}
	select {
	case <-w.snap.done:
		return w.adopt(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
