package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
)

// TestEveryFaultPoint breaks the job at the n-th passing of each point, for
// every n until a run passes unharmed, restarts it, and demands each record
// once. Rows carry a hash over all that was folded before, so a row that a
// recovery folds in another order counts as an extra one.
func TestEveryFaultPoint(t *testing.T) {
	for _, name := range []string{"stream.before_flush", "stream.after_flush", "stream.before_commit", "stream.after_commit", "stream.before_snapshot", "stream.after_snapshot"} {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n += 1 + n/4 {
				w := newWorld(t, 2)
				w.produce(2, 300)
				if err := fault.Arm(fmt.Sprintf("%s:error@%d", name, n)); err != nil {
					t.Fatal(err)
				}
				unharmed := w.runUntilDone(1200)
				if rows, extra := w.store.count(); rows != 1200 || extra != 0 {
					t.Fatalf("%s at passing %d: %d rows of 1200, %d extra", name, n, rows, extra)
				}
				if unharmed {
					t.Logf("%s: held at every passing up to %d", name, n)
					return
				}
			}
		})
	}
	if err := fault.Arm(""); err != nil {
		t.Fatal(err)
	}
}

// TestWithoutTokensCrashesDouble is the negative control: the same fault with a
// store that ignores tokens leaves extra rows, so the test above can fail.
func TestWithoutTokensCrashesDouble(t *testing.T) {
	w := newWorld(t, 2)
	w.store.blind = true
	w.produce(2, 300)
	if err := fault.Arm("stream.after_flush:error@3"); err != nil {
		t.Fatal(err)
	}
	w.runUntilDone(1200)
	if _, extra := w.store.count(); extra == 0 {
		t.Fatal("a crash between flush and commit left no double row in a store without tokens")
	}
}

// runUntilDone runs members one after the other until the store holds so many
// rows; it reports whether the first one did it alone.
func (w *world) runUntilDone(rows int) bool {
	w.t.Helper()
	defer func() { _ = fault.Arm("") }()
	for life := 1; ; life++ {
		if life > 5 {
			w.t.Fatal("the job does not get through")
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		done := make(chan error, 1)
		go func() { done <- w.runner(nil).Run(ctx) }()
		tick := time.NewTicker(3 * time.Millisecond)
		for alive := true; alive; {
			select {
			case <-done:
				alive = false
			case <-tick.C:
				if n, _ := w.store.count(); n >= rows {
					cancel()
				}
			}
		}
		tick.Stop()
		clean := ctx.Err() != nil
		cancel()
		if n, _ := w.store.count(); n >= rows && clean {
			return life == 1
		}
	}
}

// TestRebalances has members come and go while records arrive: each record is
// stored once, and every member ends cleanly.
func TestRebalances(t *testing.T) {
	w := newWorld(t, 6)
	w.cfg.SessionTimeout = 3 * time.Second
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := make(chan error, 1)
	go func() { first <- w.runner(nil).Run(ctx) }()
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 4 {
		w.produce(6, 200)
		second, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.runner(nil).Run(second) }()
		time.Sleep(time.Duration(100+rnd.IntN(300)) * time.Millisecond)
		w.produce(6, 200)
		stop()
		if err := <-ended; err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	const want = 4 * 2 * 200 * 6 * 2
	until(t, "all rows", func() bool { n, _ := w.store.count(); return n == want })
	cancel()
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if rows, extra := w.store.count(); rows != want || extra != 0 {
		t.Fatalf("%d rows of %d, %d extra", rows, want, extra)
	}
}

// TestTransientFlushPausesAndCatchesUp keeps the store away: nothing is lost,
// the queue stays in bounds, the partition is paused, and all arrives later.
func TestTransientFlushPausesAndCatchesUp(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.BatchBytes, w.cfg.QueueBytes = 10_000, 20_000
	down := true
	w.store.fail = func() error {
		if down {
			return Transient(fmt.Errorf("store is down"))
		}
		return nil
	}
	w.produce(1, 5000)
	r := w.runner(nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	until(t, "a pause", func() bool { return counterValue(t, r.m.pauses) > 0 })
	w.store.mu.Lock()
	down = false
	w.store.mu.Unlock()
	until(t, "catching up", func() bool { n, _ := w.store.count(); return n == 10_000 })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, extra := w.store.count(); extra != 0 {
		t.Fatalf("%d extra rows", extra)
	}
}

func TestGenerations(t *testing.T) {
	w := newWorld(t, 1)
	w.produce(1, 50)
	w.runUntilDone(100)
	w.cfg.Generation = 1
	refuses := fmt.Errorf("there are rows")
	w.anew = func(s Slot, from []int64) error {
		if s.Generation != 1 || len(from) != len(s.Inputs) || from[0] != 0 {
			t.Errorf("asked of %+v from %v", s, from)
		}
		return refuses
	}
	if err := w.runner(nil).Run(t.Context()); !errors.Is(err, refuses) {
		t.Fatalf("rows are there: %v", err)
	}
	refuses = nil
	w.store.tokens, w.store.rows = map[string]bool{}, map[string]int{}
	w.runUntilDone(100) // a raised generation reprocesses everything
	w.cfg.Generation = 0
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := w.runner(nil).Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "generation 1") {
		t.Fatalf("a job of an older generation ran: %v", err)
	}
}
