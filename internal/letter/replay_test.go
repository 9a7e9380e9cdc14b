package letter_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/letter"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// TestReplayedOnce: what was replayed is passed over by the next replay, which
// takes what came since. The control asks for it again, and has it twice.
func TestReplayedOnce(t *testing.T) {
	w := newWorld(t)
	w.bury(0, 5)
	if got := w.until(config(), w.deps()); got.Replayed+got.Settled != 5 {
		t.Fatalf("the first replay: %+v", got)
	}
	w.bury(0, 5) // a crash can write copies
	w.bury(5, 2)
	before, err := w.replay(config(), w.deps())
	if err != nil || before.Before != 5 || before.Replayed+before.Held != 2 {
		t.Errorf("the second replay: %+v %v", before, err)
	}
	w.until(config(), w.deps())
	missing, extra := w.figures(7)
	t.Logf("7 letters of %d records replayed three times: missing %d, extra %d", perLetter, missing, extra)
	if missing != 0 || extra != 0 {
		t.Error("want none")
	}
	again := config()
	again.Again = true
	for range 100 {
		if got, err := w.replay(again, w.deps()); err != nil {
			t.Fatal(err)
		} else if got.Replayed == 7 {
			break
		}
		time.Sleep(lease / 4)
	}
	if _, extra := w.figures(7); extra < 7*perLetter {
		t.Errorf("asked for again, and %d extra", extra)
	}
}

// TestBrokenOffAnywhere: a replay ends at each point, and in the midst of its
// publication; those after it bring each record once. The control publishes
// without saying from which letter.
func TestBrokenOffAnywhere(t *testing.T) {
	const n = 20
	end := errors.New("the end")
	broken := func(t *testing.T, point string, through func([]broker.Message) []broker.Message) (missing, extra int) {
		w := newWorld(t)
		w.bury(0, n)
		real := w.deps().Publisher
		deps := w.deps()
		deps.Publisher = publisher{real, func(ctx context.Context, msgs []broker.Message) error {
			msgs = through(msgs)
			if point != "letter.in_publish" {
				return real.Publish(ctx, msgs)
			}
			// Part of a letter, too.
			return errors.Join(real.Publish(ctx, msgs[:len(msgs)/2]), end)
		}}
		arm(t, point+":error")
		got, err := w.replay(config(), deps)
		arm(t, "")
		// A machine that is slow has it broken off before.
		if err == nil && got.Held == 0 {
			t.Fatalf("not broken off: %+v", got)
		}
		deps.Publisher = publisher{real, func(ctx context.Context, msgs []broker.Message) error { return real.Publish(ctx, through(msgs)) }}
		sum := w.until(config(), deps)
		missing, extra = w.figures(n)
		t.Logf("afterwards %d replayed, %d found replayed: missing %d, extra %d", sum.Replayed, sum.Settled, missing, extra)
		return missing, extra
	}
	as := func(msgs []broker.Message) []broker.Message { return msgs }
	for _, point := range []string{"letter.before_claim", "letter.after_claim", "letter.in_publish", "letter.after_publish", "letter.after_mark"} {
		t.Run(point, func(t *testing.T) {
			if missing, extra := broken(t, point, as); missing != 0 || extra != 0 {
				t.Error("want none")
			}
		})
	}
	t.Run("control", func(t *testing.T) {
		bare := func(msgs []broker.Message) []broker.Message {
			for i := range msgs {
				msgs[i].Headers = nil
			}
			return msgs
		}
		// Where the machine was too slow to publish there is nothing to double.
		for range 20 {
			if _, extra := broken(t, "letter.after_publish", bare); extra > 0 {
				return
			}
		}
		t.Error("nothing doubles without origins: the test is blind")
	})
}

// blind is a codec that shows a replay no marks but its own.
type blind struct {
	letter.Codec
	own plant.ID
}

func (b *blind) AppendDeadLetter(dst []byte, d *schemas.DeadLetter) ([]byte, error) {
	b.own = d.Mark.Run
	return b.Codec.AppendDeadLetter(dst, d)
}

func (b *blind) DecodeDeadLetter(frame []byte, d *schemas.DeadLetter) error {
	err := b.Codec.DecodeDeadLetter(frame, d)
	if err == nil && d.Mark != nil && d.Mark.Run != b.own {
		d.Mark.State = "unseen"
	}
	return err
}

// TestTwoAtOnce: of two replays at the same time each letter is taken by one. The
// control has two that don't see one another's marks.
func TestTwoAtOnce(t *testing.T) {
	const n = 120
	two := func(t *testing.T, codec func(letter.Codec) letter.Codec) (w *world) {
		w = newWorld(t)
		w.bury(0, n)
		cfg := config()
		cfg.Letters = 10
		type end struct {
			tally letter.Tally
			err   error
		}
		ends := make(chan end, 2)
		for range 2 {
			deps := w.deps()
			deps.Codec = codec(w.codec)
			r, err := letter.NewReplayer(cfg, deps)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				tally, err := r.Run(t.Context(), all)
				ends <- end{tally, err}
			}()
		}
		for range 2 {
			e := <-ends
			if e.err != nil {
				t.Fatal(e.err)
			}
			t.Logf("one of two: %+v", e.tally)
		}
		return w
	}
	t.Run("each", func(t *testing.T) {
		w := two(t, func(c letter.Codec) letter.Codec { return c })
		w.until(config(), w.deps())
		missing, extra := w.figures(n)
		t.Logf("%d letters by two replays at once: missing %d, extra %d", n, missing, extra)
		if missing != 0 || extra != 0 {
			t.Error("want none")
		}
	})
	t.Run("control", func(t *testing.T) {
		for range 20 {
			w := two(t, func(c letter.Codec) letter.Codec { return &blind{Codec: c} })
			if _, extra := w.figures(n); extra > 0 {
				return
			}
		}
		t.Error("nothing doubles without marks: the test is blind")
	})
}

// TestFrozenReplay: a replay that is frozen behind its claim, and wakes when
// another has replayed its letters, doubles nothing: what it publishes is stored
// too late to count. The control counts it all the same.
func TestFrozenReplay(t *testing.T) {
	const n = 6
	w := newWorld(t)
	w.bury(0, n)
	real := w.deps().Publisher
	asleep, wake, woken := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	frozen := w.deps()
	// What was with the kernel goes out whatever becomes of the caller's limit.
	frozen.Publisher = publisher{real, func(_ context.Context, msgs []broker.Message) error {
		close(asleep)
		<-wake
		return real.Publish(t.Context(), msgs)
	}}
	r, err := letter.NewReplayer(config(), frozen)
	if err != nil {
		t.Fatal(err)
	}
	var tally letter.Tally
	go func() {
		var err error
		tally, err = r.Run(t.Context(), all)
		woken <- err
	}()
	<-asleep
	if held, err := w.replay(config(), w.deps()); err != nil || held.Held+held.Replayed+held.Settled != n {
		t.Errorf("while the claim holds: %+v %v", held, err)
	}
	w.until(config(), w.deps())
	close(wake)
	if err := <-woken; err != nil {
		t.Fatal(err)
	}
	missing, extra := w.figures(n)
	_, stored := w.counted()
	t.Logf("woken: %+v; %d records stand on the topic: missing %d, extra %d", tally, stored, missing, extra)
	if missing != 0 || extra != 0 || tally.Replayed != 0 {
		t.Error("want none, and no word of success")
	}
	if stored < 2*n*perLetter {
		t.Errorf("%d records of %d: nothing came too late, the test is blind", stored, 2*n*perLetter)
	}
	if after, err := w.replay(config(), w.deps()); err != nil || after.Before != n {
		t.Errorf("afterwards: %+v %v", after, err)
	}
}

// TestRefusedAndMended: a letter that is refused again stays, is named with the
// reason, and is taken once it can be.
func TestRefusedAndMended(t *testing.T) {
	w := newWorld(t)
	r := plant.Reading{Tenant: plant.NewID(), Line: plant.NewID(), Sensor: plant.NewID(), TS: 1_764_000_000_000, Value: 1, Seq: 1}
	good, cut, use := w.codec.AppendReading(nil, &r), []byte("{}"), []byte{}
	for i, d := range []schemas.DeadLetter{
		{Topic: broker.TopicReadings, Partition: 0, Offset: 1, Value: &good},
		{Topic: broker.TopicReadings, Partition: 0, Offset: 2, Value: &cut},
		{Topic: broker.TopicReadings, Partition: 0, Offset: 3},
		{Topic: broker.TopicAnomalies, Partition: 0, Offset: 4, Value: &good},
		{Topic: broker.TopicKeyUses, Partition: 0, Offset: 5, Value: &use},
	} {
		d.ID = number(i)
		v, err := w.codec.AppendDeadLetter(nil, &d)
		if err != nil {
			t.Fatal(err)
		}
		if err := broker.NewProducer(w.cl).Publish(t.Context(), []broker.Message{{Topic: broker.TopicDeadLetters, Key: d.ID[:], Value: v}}); err != nil {
			t.Fatal(err)
		}
	}
	tenants := map[plant.ID]error{r.Tenant: letterRefusal}
	deps := w.deps()
	deps.Door = letter.Topics(w.codec, func(id plant.ID) error { return tenants[id] })
	if got := w.until(config(), deps); got.Replayed != 0 || got.Kept != 5 {
		t.Errorf("its tenant admits nothing: %+v", got)
	}
	if _, stored := w.counted(); stored != 0 {
		t.Errorf("%d records on the topic", stored)
	}
	delete(tenants, r.Tenant)
	if got := w.until(config(), deps); got.Replayed+got.Settled != 1 || got.Kept != 4 {
		t.Errorf("its tenant is back: %+v", got)
	}
	if by, _ := w.counted(); by[string(good)] != 1 || len(by) != 1 {
		t.Errorf("%d records, want the good one", len(by))
	}
}

// TestHistoryGone: where the topic has lost what was stored since a claim, its
// letters stay in doubt until they are asked for again. Marks whose letters are
// gone are nothing to look at.
func TestHistoryGone(t *testing.T) {
	var w *world
	for try := 0; ; try++ {
		w = newWorld(t)
		w.bury(0, 4)
		arm(t, "letter.after_publish:error")
		got, err := w.replay(config(), w.deps())
		arm(t, "")
		if err != nil {
			break
		}
		if try == 20 {
			t.Fatalf("not broken off: %+v", got)
		}
	}
	w.forget(broker.TopicReadings)
	published := 0
	deps := w.deps()
	real := deps.Publisher
	deps.Publisher = publisher{real, func(ctx context.Context, msgs []broker.Message) error {
		published += len(msgs)
		return real.Publish(ctx, msgs)
	}}
	if got := w.until(config(), deps); got.Unsure != 4 || got.Replayed+got.Settled != 0 || published != 0 {
		t.Errorf("with the topic's beginning gone: %+v, %d published", got, published)
	}
	again := config()
	again.Again = true
	for range 100 {
		if got, err := w.replay(again, deps); err != nil {
			t.Fatal(err)
		} else if got.Replayed == 4 {
			break
		}
		time.Sleep(lease / 4)
	}
	if published < 4*perLetter {
		t.Errorf("asked for, and %d published", published)
	}
	w.forgetLetters(4)
	got, err := w.replay(config(), deps)
	if err != nil || got != (letter.Tally{}) {
		t.Errorf("with the letters gone: %+v %v", got, err)
	}
}
