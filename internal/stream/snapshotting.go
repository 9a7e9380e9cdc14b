package stream

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// snapshotting is a snapshot on its way to the store. The worker goes on
// meanwhile; the ledger names the snapshot only once it is stored.
type snapshotting struct {
	at   []int64 // offsets it covers
	size int
	done chan struct{} // closed by the storing goroutine
	ref  Ref           // set before done is closed
	err  error         // likewise
}

// finished is closed when the snapshot is stored; nil (never) without one.
func (s *snapshotting) finished() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.done
}

// maySnapshot adopts a stored snapshot and begins the next when it is due: by
// time and records, or because the ledger grows near its limit, in which case
// the worker waits for it.
func (w *worker) maySnapshot(ctx context.Context) error {
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
	due := w.sinceSnap >= w.cfg.SnapshotRecords && time.Since(w.lastSnap) >= w.cfg.SnapshotEvery
	if !due && !full {
		return nil
	}
	return w.beginSnapshot(ctx)
}

// beginSnapshot copies the state as of now and stores it in the background.
func (w *worker) beginSnapshot(ctx context.Context) error {
	state, err := w.task.AppendState(nil)
	if err != nil {
		return fmt.Errorf("taking snapshot: %w", err)
	}
	s := &snapshotting{at: slices.Clone(w.pos), size: len(state), done: make(chan struct{})}
	w.snap, w.lastSnap, w.sinceSnap = s, time.Now(), 0
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
		w.sinceSnap = w.cfg.SnapshotRecords
		return nil
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
