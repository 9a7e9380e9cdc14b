package run_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
)

// TestWarmUpCountsNoMinuteTwice: the snapshots of a slot are gone, so its state is
// warmed up from the records before the last commit. The minutes that were handed
// out are not handed out again.
func TestWarmUpCountsNoMinuteTwice(t *testing.T) {
	w := newWorld(t)
	w.cfg.BatchRecords = 5000
	const sensors, before, after = 6, 8030, 8035
	begin := time.Now().UnixMilli() - before*1000 // each sensor's last minute is not over
	send := func(from, to int) {
		cl := w.client()
		for i := from; i < to; i++ {
			for s := range sensors {
				r := w.reading(s, i)
				r.TS = begin + int64(i)*1000
				key := r.Key()
				cl.Produce(t.Context(), &kgo.Record{Topic: broker.TopicReadings, Key: key[:], Value: w.codec.AppendReading(nil, &r)}, nil)
			}
		}
		if err := cl.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	settled := func(n int) func() bool {
		return func() bool {
			return w.stored(sensors*n)() && w.query("SELECT (SELECT sum(count) FROM readings_1m) >= (SELECT count() FROM readings)") == "1"
		}
	}
	send(0, before)
	w.until(settled(before))
	adm := kadm.NewClient(w.client())
	ends, err := adm.ListEndOffsets(t.Context(), broker.TopicProcessorState)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := adm.DeleteRecords(t.Context(), ends.Offsets()); err != nil {
		t.Fatal(err)
	}
	send(before, after)
	w.until(settled(after))
	for _, table := range []string{"readings_1m", "readings_1h", "readings_1d"} {
		if more := w.query("SELECT sum(count) - (SELECT count() FROM readings) FROM " + table); more != "0" {
			t.Errorf("%s counts %s more readings than there are", table, more)
		}
	}
}
