package run_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/letter"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// registry numbers schemas from base on, and may know those of the one that
// numbers them from 100 on.
type registry struct {
	n, base int
	knows   bool
}

func (r *registry) Register(context.Context, string, string) (int, error) {
	r.n++
	return r.base + r.n, nil
}

func (r *registry) Schema(_ context.Context, id int) (string, error) {
	names := schemas.Names()
	if !r.knows || id <= 100 || id > 100+len(names) {
		return "", schemas.ErrUnknownSchema
	}
	all, err := schemas.Versions(names[id-101])
	return all[len(all)-1], err
}

func (w *world) codecOf(r *registry) *schemas.Codec {
	w.t.Helper()
	c, err := schemas.NewCodec(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// TestRefusedAgainIsAnotherLetter: what the processors refuse again after a replay
// is another letter, which waits although the first was replayed, and is replayed
// once they are mended. Each reading is there once then, although processors that
// are mended rebuild their state from records that were refused: few, which the
// ledger names, or more than it can name.
func TestRefusedAgainIsAnotherLetter(t *testing.T) {
	for _, n := range []int{1, 120} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { refusedAgain(t, n) })
	}
}

func refusedAgain(t *testing.T, n int) {
	w := newWorld(t)
	cl := w.client()
	strange := w.codecOf(&registry{base: 100})
	// Every other record is good, so that those that are refused stand apart.
	for i := range n {
		for s, codec := range []*schemas.Codec{strange, w.codec} {
			r := w.reading(3*s, i) // two sensors of one line
			key := r.Key()
			cl.Produce(t.Context(), &kgo.Record{Topic: broker.TopicReadings, Key: key[:], Value: codec.AppendReading(nil, &r)}, nil)
		}
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	knowing := w.codecOf(&registry{knows: true})
	replay := func() (sum letter.Tally) {
		t.Helper()
		cfg := letter.DefaultConfig()
		cfg.Lease = 2 * time.Second
		for range 100 {
			p, err := letter.NewReplayer(cfg, letter.Deps{
				Log: broker.NewLog(w.kafka, cl), Codec: knowing, Publisher: broker.NewProducer(cl), Logger: slog.New(slog.DiscardHandler),
				Door: letter.Topics(knowing, func(plant.ID) error { return nil }),
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.Run(t.Context(), func(*schemas.DeadLetter) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			sum.Replayed += got.Replayed + got.Settled
			if sum.Before = got.Before; got.Held == 0 {
				return sum
			}
			time.Sleep(cfg.Lease / 4)
		}
		t.Fatal("letters stay held")
		return sum
	}
	are := func(replayed, waiting int) func() bool {
		return func() bool {
			got := map[string]int{}
			for _, state := range w.fates() {
				got[state]++
			}
			return got[letter.Replayed] == replayed && got[letter.Waiting] == waiting
		}
	}
	w.until(are(0, n))
	if got := replay(); got.Replayed != n {
		t.Fatalf("the first replay: %+v", got)
	}
	w.until(are(n, n))
	w.codec = knowing
	if got := replay(); got.Replayed != n {
		t.Fatalf("the second replay: %+v", got)
	}
	w.until(w.stored(2 * n))
	if got := replay(); got.Replayed != 0 || got.Before != 2*n {
		t.Errorf("the third replay: %+v", got)
	}
	if got := w.query("SELECT count(), uniqExact(sensor_id, seq) FROM readings"); got != fmt.Sprintf("%d\t%[1]d", 2*n) || !are(2*n, 0)() {
		t.Errorf("readings %s, letters %v", got, w.fates())
	}
}
