package run_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/run"
	"github.com/foodflow/foodflow/processors/snapshot"
	"github.com/foodflow/foodflow/schemas"
)

// paced notes the longest pause between two inserts.
type paced struct {
	next run.Inserter
	mu   *sync.Mutex // guards what the pointers show
	last *time.Time
	most *time.Duration
}

func (p paced) Insert(ctx context.Context, b sink.Block, token string) error {
	err := p.next.Insert(ctx, b, token)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !p.last.IsZero() {
		*p.most = max(*p.most, now.Sub(*p.last))
	}
	*p.last = now
	return err
}

// poisons are records that can't be processed: no frame, an unknown schema, cut
// and overlong bodies, wrong types, and a huge one.
func (w *world) poisons() [][]byte {
	r := w.reading(0, 0)
	good := w.codec.AppendReading(nil, &r)
	noise := make([]byte, 1<<20-1000) // as much as the topic takes, and no compression helps
	_, _ = rand.Read(noise)
	return [][]byte{
		nil,
		{},
		[]byte("{}"), good[:20], append(good[:len(good):len(good)], 1),
		append([]byte{0, 0, 0, 0xff, 0xff}, good[5:]...), make([]byte, 5<<20), noise,
	}
}

// TestPoisonStallsNobody (P12): one record in a hundred is poison, on both
// topics. Each becomes a dead letter, once; every good reading comes through,
// across a crash. TestFatalPoisonStallsItsSlot is the control.
func TestPoisonStallsNobody(t *testing.T) {
	const sensors, rounds = 6, 3
	w := newWorld(t)
	var mu sync.Mutex
	var last time.Time
	var stall time.Duration
	w.inserter = func(next run.Inserter) run.Inserter { return paced{next, &mu, &last, &stall} }
	cl := w.client(kgo.ProducerBatchMaxBytes(6<<20), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	bad := w.poisons()
	injected := 0
	for round := range rounds {
		for i, b := range bad {
			key := binary.BigEndian.AppendUint32(nil, uint32(i+round))
			for _, topic := range []string{broker.TopicReadings, broker.TopicLineEvents} {
				if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: key, Value: b}).FirstErr(); err != nil {
					t.Fatal(err)
				}
				injected++
			}
			from := (round*len(bad) + i) * 33
			w.send(sensors, from, from+33, 1)
		}
	}
	good := sensors * rounds * len(bad) * 33
	if err := fault.Arm("stream.after_flush:error@2"); err != nil {
		t.Fatal(err)
	}
	// The readings come through the slots of their lines, the poison through others
	// too: that all of one is through says nothing of the other.
	stored := w.stored(good)
	w.until(func() bool {
		if !stored() {
			return false
		}
		n, _ := w.letters()
		return n >= injected
	})
	letters, reasons := w.letters()
	rows := w.query("SELECT count() FROM readings")
	t.Logf("injected %d in %d records, dead letters %d %v; good %d, stored %s; longest pause between inserts %v, a crash included",
		injected, good+injected, letters, reasons, good, rows, stall.Round(time.Millisecond))
	if letters != injected {
		t.Errorf("%d dead letters of %d: %v", letters, injected, reasons)
	}
	if rows != fmt.Sprint(good) {
		t.Errorf("%s good readings of %d", rows, good)
	}
}

// letters reads the dead letters that there are; it counts each id once.
func (w *world) letters() (n int, reasons map[string]int) {
	w.t.Helper()
	seen := map[plant.ID]bool{}
	reasons = map[string]int{}
	err := broker.ReadTopic(w.t.Context(), w.kafka, broker.TopicDeadLetters, func(_ int32, _ int64, v []byte) error {
		var d schemas.DeadLetter
		if err := w.codec.DecodeDeadLetter(v, &d); err != nil {
			return err
		}
		if !seen[d.ID] {
			seen[d.ID] = true
			reasons[d.Reason]++
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(seen), reasons
}

// fatal is the real task with the protection off: poison ends it.
type fatal struct{ stream.Task }

func (f fatal) Fold(r *stream.Record) error {
	err := f.Task.Fold(r)
	var p *stream.Poison
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// TestFatalPoisonStallsItsSlot is the control: a task that knows no poison ends
// with the first one, however often it is started, and what stands behind the
// record in its slot never comes through.
func TestFatalPoisonStallsItsSlot(t *testing.T) {
	w := newWorld(t)
	cl := w.client()
	w.send(3, 0, 30, 1)
	r := w.reading(0, 0)
	key := r.Key()
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: broker.TopicReadings, Key: key[:], Value: []byte("{}")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	w.send(3, 30, 60, 1)
	open := broker.Opener(w.kafka)
	snaps, err := snapshot.New(broker.TopicProcessorState, "g", open, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer snaps.Close()
	deps := run.Deps{Codec: w.codec, Directory: directory.NewStore(), Sink: sink.New(w.ch, nil), Publisher: broker.NewProducer(cl), Metrics: run.NewMetrics(nil)}
	w.cfg.Inputs = run.Inputs()
	for life := range 3 {
		runner, err := stream.New(w.cfg, stream.Deps{
			Client: open, Snapshots: snaps, Logger: slog.New(slog.DiscardHandler),
			Tasks: func(s stream.Slot) (stream.Task, error) { return fatal{run.NewTask(deps, s)}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err = runner.Run(ctx)
		ended := ctx.Err() == nil
		cancel()
		if err == nil || !ended {
			t.Fatalf("life %d goes on behind a poison record: %v", life, err)
		}
	}
	line := w.query("SELECT count() FROM readings WHERE seq >= 30 AND line_id = '" + r.Line.String() + "'")
	letters, _ := w.letters()
	t.Logf("three lives, each ended by the record; of the 30 readings behind it in its line %s stored, dead letters %d", line, letters)
	if line != "0" || letters != 0 {
		t.Error("poison stalls nobody, though nothing sets it aside: the test is blind")
	}
}
