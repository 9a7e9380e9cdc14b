package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// reasonSilent marks a batch that was made durable before: it is folded for its
// effect on the state only.
const reasonSilent = numReasons

// recover brings the task to where the last owner stood: the snapshot, the
// batches since in silence, then the batch that was on its way, with output.
func (w *worker) recover(ctx context.Context) error {
	w.ledger = w.begin.ledger
	w.pos = slices.Clone(w.ledger.base)
	if ref := w.ledger.snap; ref != (Ref{}) {
		state, err := w.store.Load(ctx, w.slot.Partition, ref)
		if err != nil {
			return fmt.Errorf("loading snapshot: %w", err)
		}
		if err := w.task.RestoreState(state); err != nil {
			return fmt.Errorf("restoring state: %w", err)
		}
	}
	if w.begin.silent != nil {
		if err := w.refold(ctx, w.begin.silent); err != nil {
			return err
		}
		// How the records were batched is not known here, so nor is which output the
		// task held back at the end; nearly all of it is durable.
		if w.task.Unsettled() {
			if err := w.refold(ctx, slices.Clone(w.pos)); err != nil {
				return err
			}
		}
		w.ledger.base = slices.Clone(w.begin.silent)
	}
	for _, to := range w.ledger.journal {
		if err := w.refold(ctx, to); err != nil {
			return err
		}
	}
	if to := w.ledger.pending; to != nil {
		if err := w.arrived(ctx, to); err != nil {
			return err
		}
		return w.pass(ctx, to, ReasonReplay)
	}
	return nil
}

// refold folds a batch whose output is durable.
func (w *worker) refold(ctx context.Context, to []int64) error {
	if err := w.arrived(ctx, to); err != nil {
		return err
	}
	_, n, err := w.fold(ctx, to, reasonSilent)
	if err != nil {
		return err
	}
	w.task.Discard()
	w.release()
	w.m.refolded.Add(float64(n))
	if w.sinceSnap == 0 {
		w.lastSnap = time.UnixMilli(w.lastTS)
	}
	w.sinceSnap += n
	return nil
}

// arrived waits until the queue holds all of a batch that retention has left. A
// batch larger than the queue is taken in parts by fold only after it arrived
// whole, so the limit is lifted for its time.
func (w *worker) arrived(ctx context.Context, to []int64) error {
	again := time.NewTicker(startsEvery)
	defer again.Stop()
	for i := range to {
		for to[i] > w.pos[i] && to[i] > w.gone[i] && !w.q.has(i, to[i]) {
			if w.q.lift() {
				w.resume()
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-w.drain:
				return errDrained
			case <-w.q.wake:
			case <-again.C:
				gone, err := w.starts(ctx)
				if err != nil {
					w.logger.Warn("can't tell what retention has left, trying again", "partition", w.slot.Partition, "error", err)
					continue
				}
				w.gone = gone
			}
		}
	}
	return nil
}

// startsEvery is how often a recovery asks whether retention has removed what it
// waits for: the broker says nothing where nothing is left.
const startsEvery = 5 * time.Second

// errDrained ends a recovery that was cut short: nothing was done that the next
// owner can't do again.
var errDrained = errors.New("drained during recovery")

// finish ends a drained slot: the state is stored if enough was folded since
// the last snapshot to make the next owner's start quicker by it, or if it knows of
// dead records that the ledger doesn't name.
func (w *worker) finish(ctx context.Context) error {
	if err := w.stored(ctx); err != nil {
		return err
	}
	if w.sinceSnap < w.cfg.SnapshotRecords && !w.unnamed {
		return nil
	}
	if err := w.beginSnapshot(ctx); err != nil {
		return err
	}
	return w.stored(ctx)
}
