package letter_test

import (
	"context"
	"testing"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/letter"
)

// first does something before the first message goes out.
type first struct {
	letter.Publisher
	do func()
}

func (f *first) Publish(ctx context.Context, msgs []broker.Message) error {
	if f.do != nil {
		f.do()
		f.do = nil
	}
	return f.Publisher.Publish(ctx, msgs)
}

// TestReplayedInBetween: another replay takes letters through, from beginning to
// end, after this one has read that they wait, or are in doubt, and before its
// claim is stored. The claim doesn't hold.
func TestReplayedInBetween(t *testing.T) {
	const n = 3
	for name, before := range map[string]func(*world){
		"waiting": func(*world) {},
		"in doubt": func(w *world) {
			arm(w.t, "letter.after_claim:error")
			_, err := w.replay(config(), w.deps())
			arm(w.t, "")
			if err == nil {
				w.t.Fatal("not broken off")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.bury(0, n)
			before(w)
			deps := w.deps()
			deps.Publisher = &first{deps.Publisher, func() { w.until(config(), w.deps()) }}
			got, err := w.replay(config(), deps)
			missing, extra := w.figures(n)
			t.Logf("the one that comes too late: %+v; missing %d, extra %d", got, missing, extra)
			if err != nil || got.Before != n || missing != 0 || extra != 0 {
				t.Errorf("want none, and %d replayed before: %v", n, err)
			}
		})
	}
}

// TestReplayedMeanwhile: a replay has letters, and marks them as replayed after
// another has read that it has them and before that one's claim is stored.
func TestReplayedMeanwhile(t *testing.T) {
	const n = 3
	w := newWorld(t)
	w.bury(0, n)
	asleep, wake, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	slow := w.deps()
	real := slow.Publisher
	slow.Publisher = publisher{real, func(ctx context.Context, msgs []broker.Message) error {
		close(asleep)
		<-wake
		return real.Publish(ctx, msgs)
	}}
	a, err := letter.NewReplayer(config(), slow)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := a.Run(t.Context(), all)
		ended <- err
	}()
	<-asleep
	deps := w.deps()
	deps.Publisher = &first{real, func() {
		close(wake)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}}
	got, err := w.replay(config(), deps)
	if err != nil {
		t.Fatal(err)
	}
	w.until(config(), w.deps()) // where the machine was slow, there is something left
	missing, extra := w.figures(n)
	t.Logf("the one that comes too late: %+v; missing %d, extra %d", got, missing, extra)
	if missing != 0 || extra != 0 {
		t.Error("want none")
	}
}
