package run_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/fault"
)

// send writes readings from up to to of some sensors, each one to most times,
// and gives how many records that were.
func (w *world) send(sensors, from, to, most int) (records int) {
	w.t.Helper()
	cl := w.client()
	for i := from; i < to; i++ {
		for s := range sensors {
			r := w.reading(s, i)
			key := r.Key()
			for range 1 + rand.IntN(most) {
				records++
				cl.Produce(w.t.Context(), &kgo.Record{Topic: broker.TopicReadings, Key: key[:], Value: w.codec.AppendReading(nil, &r)}, nil)
			}
		}
	}
	if err := cl.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return records
}

// TestClientRetriesCountOnce (P9): each reading is sent one to five times, then
// again, across processors that end between flush and commit. What was sent is
// known from what the producer had acknowledged; the table holds each reading
// once. TestCopiesPastTheWindow is the control.
func TestClientRetriesCountOnce(t *testing.T) {
	const sensors = 4
	w := newWorld(t)
	records := 0
	for round, point := range []string{"stream.after_commit:error@4", "stream.after_flush:error@2", "sink.after_insert:error@3"} {
		// The last hundred readings again, and forty new ones.
		records += w.send(sensors, max(0, 40*round-60), 100+40*round, 5)
		if err := fault.Arm(point); err != nil {
			t.Fatal(err)
		}
		w.until(w.stored(sensors * (100 + 40*round)))
	}
	const want = sensors * 180
	var rows, distinct, minutes int
	if _, err := fmt.Sscan(w.query("SELECT count(), uniqExact(sensor_id, seq), (SELECT sum(count) FROM readings_1m) FROM readings"), &rows, &distinct, &minutes); err != nil {
		t.Fatal(err)
	}
	t.Logf("records %d of %d readings: missing %d, extra %d", records, want, want-distinct, rows-distinct)
	if rows != want || distinct != want || minutes != want || records <= 2*want {
		t.Fatalf("rows %d, distinct %d, in the minutes %d of %d", rows, distinct, minutes, want)
	}
}

// TestCopiesPastTheWindow is the control: a copy that comes after its sensor sent
// for more than a quarter of an hour, and more than 32 readings, counts as new.
// So it is the window, and nothing behind it, that drops the others.
func TestCopiesPastTheWindow(t *testing.T) {
	// The ring doubles until it spans the quarter of an hour: 1,024 readings at a
	// reading a second, and is then written over from its beginning.
	const late, within, all = 10, 20, 1100
	w := newWorld(t)
	w.send(1, 0, all, 1)
	w.send(1, all-within, all, 1) // its latest readings, still remembered
	w.send(1, 0, late, 1)         // its first ones, written over
	w.until(w.stored(all + late))
	var rows, distinct int
	if _, err := fmt.Sscan(w.query("SELECT count(), uniqExact(sensor_id, seq) FROM readings"), &rows, &distinct); err != nil {
		t.Fatal(err)
	}
	t.Logf("copies within the window %d, dropped %d; copies past it %d, counted as new %d", within, within+late-(rows-distinct), late, rows-distinct)
	if distinct != all || rows-distinct != late {
		t.Fatalf("%d rows of %d readings, want %d extra", rows, distinct, late)
	}
}
