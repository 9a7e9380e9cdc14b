package run_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/letter"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// TestOverdueRecordsDoNotCount: what a replay published in time counts, what was
// stored after its claim had ended does not, nor does it become a letter. The
// control is the same record without an origin, which counts as new once its
// sensor has gone on.
func TestOverdueRecordsDoNotCount(t *testing.T) {
	const on = 1100 // past the window: see TestCopiesPastTheWindow
	w := newWorld(t)
	cl := w.client()
	send := func(topic string, key plant.ID, value []byte, until time.Time) {
		t.Helper()
		rec := &kgo.Record{Topic: topic, Key: key[:], Value: value}
		if !until.IsZero() {
			o := letter.Origin{Letter: plant.NewID(), Run: plant.NewID(), Until: until.UnixMilli()}
			rec.Headers = []kgo.RecordHeader{{Key: "traceparent", Value: []byte("x")}, broker.Header(letter.HeaderKey, o.Value())}
		}
		if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	r := w.reading(0, 0)
	e := plant.LineEvent{Tenant: r.Tenant, Line: r.Line, TS: start, Type: plant.EventCount, Good: 1, Unit: "bottle", Seq: plant.NoSeq}
	both := func(until time.Time) {
		e.ID = plant.NewID() // no copy: it is the origin that keeps it out
		send(broker.TopicReadings, r.Key(), w.codec.AppendReading(nil, &r), until)
		send(broker.TopicLineEvents, e.Line, w.codec.AppendLineEvent(nil, &e), until)
	}
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	both(soon)
	w.send(1, 1, on, 1)
	both(past)
	send(broker.TopicReadings, r.Key(), []byte("{}"), past)
	w.send(1, on, on+1, 1)
	w.until(w.stored(on + 1))
	if got := w.query("SELECT count(), uniqExact(seq), (SELECT sum(count) FROM readings_1m), (SELECT count() FROM line_events) FROM readings"); got != fmt.Sprintf("%d\t%[1]d\t%[1]d\t1", on+1) {
		t.Errorf("readings, different ones, in minutes, events: %s", got)
	}
	if fates := w.fates(); len(fates) != 0 {
		t.Errorf("%d letters of what is overdue", len(fates))
	}
	both(time.Time{})
	w.until(w.stored(on + 2))
	w.until(w.rows("line_events")(2))
	if got := w.query("SELECT count() - uniqExact(seq) FROM readings"); got != "1" {
		t.Errorf("%s extra without an origin: the test is blind", got)
	}
}

// fates are the letters that are there, in order, with their states.
func (w *world) fates() (out []string) {
	w.t.Helper()
	err := letter.NewReader(broker.NewLog(w.kafka, w.client()), w.codec).Each(w.t.Context(), func(_ *schemas.DeadLetter, f letter.Fate) error {
		out = append(out, f.State)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}
