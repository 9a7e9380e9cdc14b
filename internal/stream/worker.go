package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/telemetry"
)

// worker owns one slot: its task, its ledger and the taking end of its queue.
// All of it belongs to the goroutine in run; the runner only pushes to the
// queue, cancels ctx (lost) or closes drain (revoked, stopping).
type worker struct {
	cfg    Config
	slot   Slot
	task   Task
	log    commitWriter
	store  Snapshots
	logger *slog.Logger
	m      *metrics
	resume func() // lifts the pause of the slot's partitions
	// gone is where the inputs started when last asked; what lies before has been
	// removed by retention. starts asks again.
	gone   []int64
	starts func(context.Context) ([]int64, error)
	tracer *telemetry.Tracer
	links  telemetry.Links // requests whose records the batch at hand holds

	q      *queue
	begin  start
	ledger *ledger
	pos    []int64  // next offset to fold, per input
	lastTS int64    // broker time of the last record folded, ms
	rec    Record   // the record being folded
	held   []*chunk // whose last record is in the open batch

	snap      *snapshotting // under way, nil when none
	claimed   time.Time     // when a commit last showed that the slot is ours
	lastSnap  time.Time     // when the last snapshot was begun, or what it lacks began
	sinceSnap int           // records folded since the last snapshot was begun
	purged    bool          // state went that the last snapshot still has
	unnamed   bool          // the ledger doesn't name all dead records since the last snapshot

	ahead     []atomic.Int64 // records on the broker behind the last fetched; set by the poll loop
	flushedAt atomic.Int64   // broker time of the last record flushed, ms

	// drain is closed by the runner: close the open batch, flush, commit, end.
	drain       chan struct{}
	draining    bool   // drain is closed; guarded by the runner's mutex
	drainReason Reason // set before drain is closed
	done        chan struct{}
	err         error // set before done is closed
}

// commitWriter is the writing half of commitLog.
type commitWriter interface {
	write(ctx context.Context, slot Slot, l *ledger) error
}

// run is the life of the slot. It ends with nil when drained or when the slot
// was taken away, and with an error when the process has to end.
func (w *worker) run(ctx context.Context) {
	defer close(w.done)
	defer w.task.Release()
	err := w.live(ctx)
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, errDrained):
	case errors.Is(err, errFenced):
		w.m.fenced.Inc()
		w.logger.Warn("slot fenced, its batch is left to the new owner", "partition", w.slot.Partition)
	default:
		w.err = fmt.Errorf("processing slot %d: %w", w.slot.Partition, err)
	}
}

func (w *worker) live(ctx context.Context) error {
	began := time.Now()
	if err := w.recover(ctx); err != nil {
		return err
	}
	w.m.restore.Observe(time.Since(began).Seconds())
	if w.sinceSnap == 0 {
		w.lastSnap = time.Now()
	}
	for {
		reason, err := w.await(ctx)
		if err != nil {
			return err
		}
		if err := w.batch(ctx, reason); err != nil {
			return err
		}
		if reason == ReasonRevoke || reason == ReasonStop {
			if err := w.batch(ctx, reason); err != nil { // what was held back
				return err
			}
			return w.finish(ctx)
		}
	}
}

// await returns when a batch is to be closed. With nothing waiting it first
// settles what is owed: a commit without a pending batch, a snapshot.
func (w *worker) await(ctx context.Context) (Reason, error) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		lv := w.q.level()
		wait := time.Hour
		if lv.records > 0 {
			if lv.records >= w.cfg.BatchRecords || lv.bytes >= w.cfg.BatchBytes {
				return ReasonSize, nil
			}
			now := time.Now()
			age, idle := w.maxAge()-now.Sub(lv.oldest), w.cfg.Idle-now.Sub(lv.newest)
			if age <= 0 {
				return ReasonAge, nil
			}
			if idle <= 0 {
				return ReasonIdle, nil
			}
			wait = min(age, idle)
		} else {
			if w.task.Unsettled() {
				if wait = w.cfg.HoldBack - time.Since(lv.newest); wait <= 0 {
					return ReasonIdle, nil
				}
			}
			if _, ok := w.task.(Purger); ok {
				wait = min(wait, purgeEvery)
			}
			if err := w.maySnapshot(ctx); err != nil {
				return 0, err
			}
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-w.drain:
			return w.drainReason, nil
		case <-w.q.wake:
		case <-w.snap.finished():
			if err := w.adopt(ctx); err != nil {
				return 0, err
			}
		case <-timer.C:
		}
	}
}

// behindAge is how many times longer a batch may stay open while the slot is
// behind.
const behindAge = 6

// maxAge bounds the wait of a record. A slot with more than a batch still on the
// broker is late whatever it does; it catches up sooner by whole batches, since
// an insert costs ClickHouse much that does not depend on its rows.
func (w *worker) maxAge() time.Duration {
	behind := int64(0)
	for i := range w.ahead {
		behind += w.ahead[i].Load()
	}
	if behind > int64(w.cfg.BatchRecords) {
		return behindAge * w.cfg.MaxAge
	}
	return w.cfg.MaxAge
}

// batch closes a batch over what waits (within the size bounds), makes it
// durable and commits it.
func (w *worker) batch(ctx context.Context, reason Reason) error {
	to := w.q.bounds(w.pos, w.cfg.BatchRecords, w.cfg.BatchBytes)
	if slices.Equal(to, w.pos) && !w.task.Unsettled() {
		return nil
	}
	w.ledger.pending, w.ledger.epochs = to, w.q.epochs(w.ledger.epochs)
	if err := w.commit(ctx); err != nil {
		return err
	}
	if err := w.pass(ctx, to, reason); err != nil {
		return err
	}
	return w.maySnapshot(ctx)
}

// pass folds and flushes the pending batch and enters it in the journal. The
// commit that says so is the next one: with the next batch's pending bounds, or
// by itself when nothing waits .
func (w *worker) pass(ctx context.Context, to []int64, reason Reason) error {
	began := time.Now()
	w.links.Reset()
	b, n, err := w.fold(ctx, to, reason)
	if err != nil {
		return err
	}
	traced, span := w.tracer.Batch(ctx, "process batch", began, &w.links)
	err = w.flush(traced, b)
	span.End(err)
	if err != nil {
		return err
	}
	w.release()
	w.flushedAt.Store(w.lastTS)
	w.m.poison.Add(float64(len(b.Dead)))
	w.m.batches.WithLabelValues(reason.String()).Inc()
	w.sinceSnap += n
	w.ledger.journal = append(w.ledger.journal, to)
	w.ledger.pending = nil
	if spans(b.Dead) <= mostSpans {
		w.ledger.bury(b.Dead)
	} else {
		w.unnamed = true
	}
	if w.q.level().records > 0 && reason != ReasonRevoke && reason != ReasonStop {
		return nil
	}
	return w.commit(ctx)
}

// fold takes the batch's records out of the queue and folds them, input by
// input.
func (w *worker) fold(ctx context.Context, to []int64, reason Reason) (Batch, int, error) {
	b := Batch{Slot: w.slot, Reason: reason, From: slices.Clone(w.pos), To: to}
	total := 0
	for i := range w.slot.Inputs {
		views, resume := w.q.take(i, to[i])
		if resume {
			w.resume()
		}
		n := 0
		for _, v := range views {
			if v.to == len(v.c.recs) {
				w.held = append(w.held, v.c)
			}
			for j := v.from; j < v.to; j++ {
				v.c.record(j, &w.rec)
				if w.tracer != nil && len(w.rec.Headers) > 0 {
					w.link()
				}
				folded, err := w.one(ctx, &b, i)
				if err != nil {
					return b, total, err
				}
				n += folded
			}
		}
		w.pos[i] = max(w.pos[i], to[i])
		total += n
		if reason != reasonSilent {
			w.m.records.WithLabelValues(w.slot.Inputs[i].Topic).Add(float64(n))
		}
	}
	if err := w.task.Settle(b); err != nil {
		return b, total, fmt.Errorf("settling batch: %w", err)
	}
	return b, total, nil
}

// link remembers the request that w.rec came with, if that is traced.
func (w *worker) link() {
	var parent, state []byte
	for i := range w.rec.Headers {
		switch w.rec.Headers[i].Key {
		case telemetry.HeaderName:
			parent = w.rec.Headers[i].Value
		case telemetry.StateName:
			state = w.rec.Headers[i].Value
		}
	}
	if parent != nil {
		w.links.Note(parent, state)
	}
}

// one folds w.rec, or enters it among the batch's dead. It returns the number
// of records folded.
func (w *worker) one(ctx context.Context, b *Batch, input int) (int, error) {
	r := &w.rec
	if r.Offset < w.pos[input] {
		return 0, fmt.Errorf("%w: %s/%d gave offset %d after %d", errTruncated, w.slot.Inputs[input].Topic, w.slot.Partition, r.Offset, w.pos[input])
	}
	if gap := r.Offset - w.pos[input]; gap > 0 {
		w.gap(input, gap)
	}
	w.pos[input] = r.Offset + 1
	w.lastTS, r.Input = r.Timestamp, input
	if b.Reason == reasonSilent && w.ledger.isDead(input, r.Offset) {
		return 1, nil
	}
	err := w.task.Fold(r)
	var t *TransientError
	for wait := 100 * time.Millisecond; errors.As(err, &t); wait = min(2*wait, 5*time.Second) {
		w.m.retries.Inc()
		select {
		case <-ctx.Done():
			return 1, context.Cause(ctx)
		case <-time.After(wait):
		}
		err = w.task.Fold(r)
	}
	if err == nil {
		return 1, nil
	}
	var p *Poison
	if !errors.As(err, &p) {
		return 1, fmt.Errorf("folding %s offset %d: %w", w.slot.Inputs[input].Topic, r.Offset, err)
	}
	b.Dead = append(b.Dead, Dead{Record: *r, Reason: p.Reason, Err: p.Err})
	return 1, nil
}

// release puts the chunks of a batch back: it is durable or was discarded, and
// nothing refers to its records.
func (w *worker) release() {
	for i, c := range w.held {
		w.q.pool.put(c)
		w.held[i] = nil
	}
	w.held = w.held[:0]
}

// gap counts offsets that were gone before they were read.
func (w *worker) gap(input int, n int64) {
	w.m.skipped.Add(float64(n))
	w.logger.Error("records were removed by retention before they were processed",
		"topic", w.slot.Inputs[input].Topic, "partition", w.slot.Partition, "records", n)
}

// flush makes the batch durable, trying again while the error is transient.
func (w *worker) flush(ctx context.Context, b Batch) error {
	began := time.Now()
	defer func() { w.m.flush.Observe(time.Since(began).Seconds()) }()
	backoff := 50 * time.Millisecond
	for attempt := 1; ; attempt++ {
		// After a long pause the slot may be another's, and ClickHouse may have
		// forgotten the token by which it would know what that one inserted.
		if time.Since(w.claimed) > w.cfg.SessionTimeout {
			if err := w.commit(ctx); err != nil {
				return err
			}
		}
		if err := fault.Point("stream.before_flush"); err != nil {
			return err
		}
		err := w.task.Flush(ctx, b)
		if err == nil {
			return fault.Point("stream.after_flush")
		}
		var t *TransientError
		if !errors.As(err, &t) {
			return fmt.Errorf("flushing batch: %w", err)
		}
		w.m.retries.Inc()
		if attempt%10 == 1 {
			w.logger.Warn("flush not possible yet, trying again", "partition", w.slot.Partition, "attempt", attempt, "error", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(backoff):
			backoff = min(2*backoff, 5*time.Second)
		}
	}
}

// commit writes the ledger.
func (w *worker) commit(ctx context.Context) error {
	began := time.Now()
	defer func() { w.m.commit.Observe(time.Since(began).Seconds()) }()
	if err := fault.Point("stream.before_commit"); err != nil {
		return err
	}
	w.ledger.seq++
	if err := w.log.write(ctx, w.slot, w.ledger); err != nil {
		return err
	}
	w.claimed = time.Now()
	return fault.Point("stream.after_commit")
}
