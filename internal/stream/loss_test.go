package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
)

// TestStopDuringRevocation tells a process to stop while a revocation waits for
// its worker: both wait, and the worker is told once.
func TestStopDuringRevocation(t *testing.T) {
	r, err := New(newWorld(t, 1).cfg, Deps{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{q: newQueue(2, 1<<20, &r.chunks), ahead: make([]atomic.Int64, 2), drain: make(chan struct{}), done: make(chan struct{})}
	_, cancel := context.WithCancelCause(t.Context())
	r.workers[0], r.cancels[0] = w, cancel
	revoked, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(revoked)
		r.drain(map[int32]bool{0: true}, ReasonRevoke, patience)
	}()
	<-w.drain
	go func() {
		defer close(stopped)
		r.drainAll(ReasonStop, false)
	}()
	select {
	case <-revoked:
		t.Error("the revocation did not wait for the worker")
	case <-stopped:
		t.Error("the stop did not wait for the worker")
	case <-time.After(50 * time.Millisecond):
	}
	close(w.done)
	<-revoked
	<-stopped
	if w.drainReason != ReasonRevoke {
		t.Errorf("drained for %v", w.drainReason)
	}
}

// goOn runs a member until the store holds so many rows, each once, and ok holds.
func (w *world) goOn(rows int, ok func() bool) *Runner {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	r, done := w.runner(nil), make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	for {
		n, extra := w.store.count()
		if n >= rows && ok() || ctx.Err() != nil {
			cancel()
			if err := <-done; err != nil || n != rows || extra > 0 || !ok() {
				w.t.Fatalf("%d rows of %d, %d of them twice, %v", n, rows, extra, err)
			}
			return r
		}
		select {
		case err := <-done:
			w.t.Fatalf("the job ends with %d rows of %d: %v", n, rows, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func whatever() bool { return true }

func (w *world) stored() bool {
	w.snaps.mu.Lock()
	defer w.snaps.mu.Unlock()
	return len(w.snaps.m) > 0
}

// lose removes the first n records of a topic, as retention does.
func (w *world) lose(topic string, n int64) {
	w.t.Helper()
	cl, err := w.client()
	if err != nil {
		w.t.Fatal(err)
	}
	defer cl.Close()
	var o kadm.Offsets
	o.AddOffset(topic, 0, n, -1)
	if r, err := kadm.NewClient(cl).DeleteRecords(w.t.Context(), o); err != nil || r.Error() != nil {
		w.t.Fatal(err, r.Error())
	}
}

// TestRecoveryAfterRetention restarts a slot whose batches since the last
// snapshot were removed by retention, of one input wholly and of the other in
// part: nothing waits for what will not come, and nothing counts twice.
func TestRecoveryAfterRetention(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.SnapshotRecords = 1_000
	w.produce(1, 50)
	w.goOn(100, whatever)
	if w.stored() {
		t.Fatal("there is a snapshot: the test shows nothing")
	}
	w.lose(events, 50)
	w.lose(readings, 20)
	w.produce(1, 25)
	w.goOn(150, whatever)
}

// TestQuietSlotIsStored: a slot with few records has its snapshot in the end,
// also when its process is started again and again before.
func TestQuietSlotIsStored(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.SnapshotRecords, w.cfg.SnapshotQuiet = 1_000, time.Hour
	w.produce(1, 5)
	w.goOn(10, whatever)
	w.produce(1, 5)
	w.goOn(20, whatever)
	if w.stored() {
		t.Fatal("stored before it was due")
	}
	w.cfg.SnapshotQuiet = time.Millisecond
	w.produce(1, 5)
	w.goOn(30, w.stored)
}

// TestSnapshotGone restarts a slot whose snapshot was lost: it warms up from the
// records before the commit and goes on (law 7), and says so.
func TestSnapshotGone(t *testing.T) {
	w := newWorld(t, 1)
	w.produce(1, 300)
	w.goOn(600, w.stored)
	w.snaps.mu.Lock()
	clear(w.snaps.m)
	w.snaps.mu.Unlock()
	w.produce(1, 10)
	r := w.goOn(620, whatever)
	// Once for each time that the client begins anew with the partition.
	if n := testutil.ToFloat64(r.m.lostSnapshots); n < 1 {
		t.Errorf("%v lost snapshots counted, want 1", n)
	}
}

// fencedLog takes no commit once the slot is lost.
type fencedLog struct {
	commits int
	lost    bool
}

func (l *fencedLog) write(context.Context, Slot, *ledger) error {
	if l.lost {
		return errFenced
	}
	l.commits++
	return nil
}

// flaky is a task whose flush fails at first.
type flaky struct {
	Task
	failures, flushes int
}

func (f *flaky) Flush(context.Context, Batch) error {
	f.flushes++
	if f.failures--; f.failures >= 0 {
		return Transient(errors.New("away"))
	}
	return nil
}

// TestLongPauseClaimsAgain: before an insert is sent that may have waited longer
// than a session, the slot is claimed by a commit; one that has another owner
// sends nothing. ClickHouse may have forgotten by then what that one inserted.
func TestLongPauseClaimsAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		ago     time.Duration
		lost    bool
		commits int
		flushes int
		err     error
	}{
		"at once":                    {ago: 0, flushes: 2},
		"after a pause":              {ago: time.Minute, commits: 1, flushes: 2},
		"of a slot that is not ours": {ago: time.Minute, lost: true, err: errFenced},
	} {
		log, task := &fencedLog{lost: tc.lost}, &flaky{failures: 1}
		w := &worker{cfg: DefaultConfig(), log: log, task: task, ledger: &ledger{}, m: newMetrics(nil, nil), logger: slog.New(slog.DiscardHandler), claimed: time.Now().Add(-tc.ago)}
		err := w.flush(t.Context(), Batch{})
		if !errors.Is(err, tc.err) || log.commits != tc.commits || task.flushes != tc.flushes {
			t.Errorf("%s: %d commits, %d flushes, %v", name, log.commits, task.flushes, err)
		}
	}
}

// TestForgottenOffsets: Kafka has let go of the offsets of a group that was away
// for long. With its snapshots there, the job refuses to begin anew, which would
// count everything twice; offsets that an operator sets let it go on.
func TestForgottenOffsets(t *testing.T) {
	w := newWorld(t, 1)
	w.produce(1, 300)
	w.goOn(600, w.stored)
	cl, err := w.client()
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	until(t, "the group is empty", func() bool {
		_, err := adm.DeleteGroup(t.Context(), "g")
		return err == nil
	})
	w.cfg.BatchRecords = 64 // other bounds, so other tokens
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.runner(nil).Run(ctx); !errors.Is(err, errForgotten) {
		t.Errorf("the job ends with %v", err)
	}
	if n, _ := w.store.count(); n != 600 {
		t.Errorf("%d rows of 600 records", n)
	}
	var at kadm.Offsets
	at.AddOffset(events, 0, 300, -1)
	at.AddOffset(readings, 0, 300, -1)
	until(t, "the group is empty", func() bool { return adm.CommitAllOffsets(t.Context(), "g", at) == nil })
	w.produce(1, 10)
	w.goOn(620, whatever)
}
