package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/testkit"
)

// freeze makes a member a zombie: it stands still just before an insert, with
// its batch pending on Kafka, while its heartbeats get nowhere, until another
// member has all of its slots and has stored everything. Then it wakes and
// sends its insert, though its slot was taken away: it is under way already.
func (w *world) freeze(rows int) {
	w.t.Helper()
	const session = 1500 * time.Millisecond
	w.cfg.SessionTimeout = session
	way := testkit.NewProxy(w.t)
	direct := w.client
	var frozen atomic.Bool
	var inserted atomic.Int64
	held, wake := make(chan struct{}), make(chan struct{})
	zombie, err := New(w.cfg, Deps{
		Client: func(o ...kgo.Opt) (*kgo.Client, error) { return direct(append(o, kgo.Dialer(way.Dial))...) },
		Tasks: func(s Slot) (Task, error) {
			return &sleeper{hashTask: hashTask{slot: s, store: w.store}, sleep: func() {
				if frozen.CompareAndSwap(false, true) {
					close(held)
				}
				<-wake
			}, inserted: &inserted}, nil
		},
		Snapshots: w.snaps, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- zombie.Run(ctx) }()
	select {
	case <-held:
	case <-time.After(patience):
		w.t.Fatal("the member never got to an insert")
	}
	way.Set(testkit.BlackHole)
	next := make(chan error, 1)
	go func() { next <- w.runner(nil).Run(ctx) }()
	until(w.t, "the new owner stores everything", func() bool { n, _ := w.store.count(); return n == rows })
	way.Set(testkit.Pass)
	close(wake)
	until(w.t, "the zombie's insert", func() bool { return inserted.Load() > 0 })
	w.produce(2, 50)
	until(w.t, "what comes after", func() bool { n, _ := w.store.count(); return n >= rows+200 })
	stop()
	for _, end := range []chan error{ended, next} {
		if err := <-end; err != nil && !errors.Is(err, context.Canceled) {
			w.t.Fatal(err)
		}
	}
}

// sleeper is a task that stands still before each insert.
type sleeper struct {
	hashTask
	sleep    func()
	inserted *atomic.Int64
}

// Flush sleeps, then inserts.
func (s *sleeper) Flush(ctx context.Context, b Batch) error {
	s.sleep()
	err := s.hashTask.Flush(context.WithoutCancel(ctx), b)
	s.inserted.Add(1)
	return err
}

// TestZombieIsFenced (P7): what a member sends after the group gave its slots
// away is recognised, and its commits change nothing.
func TestZombieIsFenced(t *testing.T) {
	w := newWorld(t, 2)
	w.produce(2, 300)
	w.freeze(1200)
	if rows, extra := w.store.count(); rows != 1400 || extra != 0 {
		t.Fatalf("%d rows of 1400, %d extra", rows, extra)
	}
	t.Logf("rows 1400, twice 0; inserts recognised %d", w.store.hits)
}

// TestZombieWithoutTokens is the control: in a store without tokens the
// zombie's insert doubles rows.
func TestZombieWithoutTokens(t *testing.T) {
	w := newWorld(t, 2)
	w.store.blind = true
	w.produce(2, 300)
	w.freeze(1200)
	if _, extra := w.store.count(); extra == 0 {
		t.Fatal("a zombie's insert doubled nothing in a store without tokens")
	}
}
