package run_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/run"
)

// TestRowsComeInTheOrderOfTheTable: ClickHouse finds a batch's readings sorted as
// table readings is, and so need not sort them; its own counter says so. The
// control inserts the same readings as they arrived.
func TestRowsComeInTheOrderOfTheTable(t *testing.T) {
	w := newWorld(t)
	sorted := func(insert func()) bool {
		before := w.writer("MergeTreeDataWriterBlocksAlreadySorted")
		insert()
		return w.writer("MergeTreeDataWriterBlocksAlreadySorted") > before
	}
	var arrival []plant.Reading
	for i := range 20 {
		for s := range 50 {
			r := w.reading(s, i)
			r.Tenant = plant.NameID(plant.ID{}, "tenant", fmt.Sprint(s%2))
			arrival = append(arrival, r)
		}
	}
	into := sink.New(w.ch, nil)
	task := run.NewTask(run.Deps{
		Codec: w.codec, Directory: directory.NewStore(), Sink: readingsOnly{into}, Publisher: nobody{}, Metrics: run.NewMetrics(nil),
	}, stream.Slot{Inputs: []stream.Input{{Topic: "events"}, {Topic: "readings"}}})
	for i := range arrival {
		if err := task.Fold(&stream.Record{Input: 1, Offset: int64(i), Value: w.codec.AppendReading(nil, &arrival[i])}); err != nil {
			t.Fatal(err)
		}
	}
	b := stream.Batch{Slot: stream.Slot{Inputs: []stream.Input{{}, {}}}, From: []int64{0, 0}, To: []int64{0, int64(len(arrival))}}
	if err := task.Settle(b); err != nil {
		t.Fatal(err)
	}
	if !sorted(func() {
		if err := task.Flush(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}) {
		t.Error("ClickHouse had to sort a batch of ours")
	}
	if sorted(func() {
		block := sink.NewReadings()
		for i := range arrival {
			block.Append(&arrival[i], 0, 0, int64(i))
		}
		if err := into.Insert(t.Context(), block, "as they arrived"); err != nil {
			t.Fatal(err)
		}
	}) {
		t.Error("the control, in order of arrival, counts as sorted: the counter shows nothing")
	}
}

// writer gives one of ClickHouse's counters of its table writer.
func (w *world) writer(event string) int {
	w.t.Helper()
	n := 0
	if _, err := fmt.Sscan(w.query("SELECT ifNull(max(value), 0) FROM system.events WHERE event = '"+event+"'"), &n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// readingsOnly inserts into one table, so that a counter tells of that.
type readingsOnly struct{ into run.Inserter }

func (r readingsOnly) Insert(ctx context.Context, b sink.Block, token string) error {
	if b.Table() != "readings" {
		return nil
	}
	return r.into.Insert(ctx, b, token)
}

// nobody takes messages for Kafka.
type nobody struct{}

func (nobody) Publish(context.Context, []broker.Message) error { return nil }
