package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// errLost ends the worker of a slot that was taken away without a hand-over.
var errLost = errors.New("slot lost")

// adjust is called by the client with the newly assigned partitions before it
// fetches the first record. It starts the slots' workers and answers with the
// offsets their recovery begins at.
func (r *Runner) adjust(ctx context.Context, given map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	select {
	case <-r.opened:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	slots := map[int32]int{}
	for _, partitions := range given {
		for p := range partitions {
			slots[p]++
		}
	}
	starts, err := kadm.NewClient(r.cl).ListStartOffsets(ctx, r.cfg.Inputs...)
	if err != nil {
		return nil, fmt.Errorf("listing start offsets: %w", err)
	}
	ends, err := r.ends(ctx)
	if err != nil {
		return nil, err
	}
	for p, n := range slots {
		if n != len(r.inputs) {
			return nil, fmt.Errorf("slot %d was assigned in part: %d of %d inputs", p, n, len(r.inputs))
		}
		from, err := r.open(ctx, p, starts, ends)
		if err != nil {
			if refused(err) {
				r.fail(err)
			}
			return nil, err
		}
		for i, in := range r.inputs {
			given[in.Topic][p] = kgo.NewOffset().At(from[i])
		}
	}
	return given, nil
}

// open makes and starts the worker of slot p, and gives the offsets at which it
// begins to read: from now on the ledger is the worker's.
func (r *Runner) open(ctx context.Context, p int32, starts, ends kadm.ListedOffsets) ([]int64, error) {
	r.end(p, errLost) // a fetch that was cancelled before it began comes here twice
	slot := Slot{Partition: p, Inputs: r.inputs, Generation: r.cfg.Generation}
	earliest, err := r.earliest(starts, p)
	if err != nil {
		return nil, err
	}
	begin, err := r.begin(ctx, slot, earliest, ends)
	if err != nil {
		return nil, err
	}
	task, err := r.deps.Tasks(slot)
	if err != nil {
		return nil, fmt.Errorf("making task of slot %d: %w", p, err)
	}
	w := &worker{
		tracer: r.deps.Tracer,
		cfg:    r.cfg, slot: slot, task: task, log: r.log, store: r.deps.Snapshots,
		logger: r.deps.Logger, m: r.m, begin: begin,
		resume: func() { r.cl.ResumeFetchPartitions(r.partitions(p)) },
		gone:   earliest,
		starts: func(ctx context.Context) ([]int64, error) {
			starts, err := kadm.NewClient(r.cl).ListStartOffsets(ctx, r.cfg.Inputs...)
			if err != nil {
				return nil, fmt.Errorf("listing start offsets: %w", err)
			}
			return r.earliest(starts, p)
		},
		q:     newQueue(len(r.inputs), r.cfg.QueueBytes, &r.chunks),
		ahead: make([]atomic.Int64, len(r.inputs)),
		drain: make(chan struct{}), done: make(chan struct{}),
	}
	from := slices.Clone(begin.ledger.base)
	w.q.startAt(from)
	wctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	r.mu.Lock()
	r.workers[p], r.cancels[p] = w, cancel
	r.mu.Unlock()
	go func() {
		w.run(wctx)
		if w.err != nil {
			r.fail(w.err)
		}
	}()
	return from, nil
}

// begin finds out where a slot's recovery starts, and whether what it starts from
// is there.
func (r *Runner) begin(ctx context.Context, slot Slot, earliest []int64, ends kadm.ListedOffsets) (start, error) {
	begin, err := r.log.read(ctx, slot, earliest)
	if err != nil {
		return start{}, err
	}
	if err := r.whole(ctx, slot, begin, ends); err != nil {
		return start{}, err
	}
	if begin.anew && r.deps.Anew != nil {
		var passing *TransientError
		if err := r.deps.Anew(ctx, slot, begin.ledger.base); errors.As(err, &passing) {
			return start{}, err
		} else if err != nil {
			return start{}, fmt.Errorf("%w: slot %d: %w", errAnew, slot.Partition, err)
		}
	}
	has, err := r.deps.Snapshots.Has(ctx, slot.Partition, begin.ledger.snap)
	if err != nil {
		return start{}, fmt.Errorf("looking for snapshot of slot %d: %w", slot.Partition, err)
	}
	switch none := begin.ledger.snap == (Ref{}); {
	case begin.fresh && has:
		return start{}, fmt.Errorf("%w: slot %d", errForgotten, slot.Partition)
	case !none && !has:
		r.m.lostSnapshots.Inc()
		r.deps.Logger.Error("the snapshot of a slot is gone, its state is warmed up from the records before the last commit",
			"partition", slot.Partition, "records", r.cfg.Rewind)
		l := begin.ledger
		begin = rewound(slot, l.committed(), earliest, r.cfg.Rewind)
		begin.ledger.seq, begin.ledger.pending, begin.ledger.epochs = l.seq, l.pending, l.epochs
	case begin.bare != nil:
		begin = rewound(slot, begin.bare, earliest, r.cfg.Rewind)
	}
	begin.ledger.topics = make([]uint64, len(r.inputs))
	for i, in := range r.inputs {
		begin.ledger.topics[i] = topicHash(in.ID)
	}
	return begin, nil
}

// earliest gives the offsets at which slot p's inputs start.
func (r *Runner) earliest(starts kadm.ListedOffsets, p int32) ([]int64, error) {
	out := make([]int64, len(r.inputs))
	for i, in := range r.inputs {
		o, ok := starts.Lookup(in.Topic, p)
		if !ok || o.Err != nil {
			return nil, fmt.Errorf("listing start offset of %s/%d: %w", in.Topic, p, o.Err)
		}
		out[i] = o.Offset
	}
	return out, nil
}

// end stops the worker of slot p at once, without a commit.
func (r *Runner) end(p int32, cause error) {
	r.mu.Lock()
	w, cancel := r.workers[p], r.cancels[p]
	delete(r.workers, p)
	delete(r.cancels, p)
	r.mu.Unlock()
	if w == nil {
		return
	}
	cancel(cause)
	<-w.done
}

// revoked hands slots over: each flushes and commits what it holds, within half
// the rebalance timeout, and only then the group goes on.
func (r *Runner) revoked(_ context.Context, cl *kgo.Client, lost map[string][]int32) {
	r.drain(slotsOf(lost), ReasonRevoke, r.cfg.RebalanceTimeout/2)
	cl.ResumeFetchPartitions(lost)
}

// lost drops slots that another member may hold already.
func (r *Runner) lost(_ context.Context, cl *kgo.Client, lost map[string][]int32) {
	for p := range slotsOf(lost) {
		r.end(p, errLost)
	}
	cl.ResumeFetchPartitions(lost)
}

func slotsOf(m map[string][]int32) map[int32]bool {
	slots := map[int32]bool{}
	for _, ps := range m {
		for _, p := range ps {
			slots[p] = true
		}
	}
	return slots
}

// drain has the workers of slots finish and waits for them, limit at most.
func (r *Runner) drain(slots map[int32]bool, reason Reason, limit time.Duration) {
	r.mu.Lock()
	var ws []*worker
	for p := range slots {
		if w := r.workers[p]; w != nil {
			if !w.draining { // a revocation may be under way when the process is told to stop
				w.draining, w.drainReason = true, reason
				close(w.drain)
			}
			ws = append(ws, w)
		}
	}
	r.mu.Unlock()
	deadline := time.After(limit)
	for _, w := range ws {
		select {
		case <-w.done:
		case <-deadline:
			r.deps.Logger.Warn("slots not drained in time, their batches are left to the next owner", "reason", reason.String())
			deadline = closed()
		}
		r.end(w.slot.Partition, errStopped)
	}
}

// closed gives a channel that is always ready.
func closed() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}

// drainAll ends every worker: with a flush, or at once after a fatal error.
func (r *Runner) drainAll(reason Reason, abandon bool) {
	r.mu.Lock()
	slots := map[int32]bool{}
	for p := range r.workers {
		slots[p] = true
	}
	r.mu.Unlock()
	if abandon {
		for p := range slots {
			r.end(p, errStopped)
		}
		return
	}
	r.drain(slots, reason, r.cfg.StopTimeout)
}
