package run_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/run"
	"github.com/foodflow/foodflow/schemas"
)

// folding is when folded began, ms.
const folding = int64(1_795_000_020_000)

// folded is a task that took some minutes of five sensors on two lines.
func folded(t testing.TB) (stream.Task, run.Deps) {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	deps := run.Deps{Codec: codec, Directory: directory.NewStore(), Metrics: run.NewMetrics(nil)}
	task := run.NewTask(deps, stream.Slot{Inputs: []stream.Input{{}, {}}})
	foldAll(t, task)
	task.Discard()
	return task, deps
}

func foldAll(t testing.TB, task stream.Task) {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	tenant := plant.NameID(plant.ID{}, "tenant")
	for i := range 500 {
		r := plant.Reading{
			Tenant: tenant, Line: plant.NameID(tenant, "line", string(rune('a'+i%2))), Sensor: plant.NameID(tenant, "sensor", string(rune('a'+i%5))),
			TS: folding + int64(i)*700, Value: float64(i % 13), Seq: int64(i),
		}
		fold(t, task, 1, i, codec.AppendReading(nil, &r))
		if i%10 == 0 {
			e := plant.LineEvent{Tenant: tenant, Line: r.Line, TS: r.TS, Type: plant.EventCount, Good: 3, Unit: "bottle", Seq: plant.NoSeq}
			e.ID = plant.EventID(&e)
			fold(t, task, 0, i, codec.AppendLineEvent(nil, &e))
		}
	}
	if err := task.Settle(stream.Batch{From: []int64{0, 0}, To: []int64{50, 500}}); err != nil {
		t.Fatal(err)
	}
}

func fold(t testing.TB, task stream.Task, input, i int, frame []byte) {
	t.Helper()
	if err := task.Fold(&stream.Record{Input: input, Offset: int64(i), Timestamp: folding + int64(i), Value: frame}); err != nil {
		t.Fatal(err)
	}
}

// TestStateRoundTrip: a state that was taken back is the same state to the bit;
// one that was cut off anywhere is refused.
func TestStateRoundTrip(t *testing.T) {
	task, deps := folded(t)
	state, err := task.AppendState(nil)
	if err != nil {
		t.Fatal(err)
	}
	again := run.NewTask(deps, stream.Slot{Inputs: []stream.Input{{}, {}}})
	if err := again.RestoreState(state); err != nil {
		t.Fatal(err)
	}
	if got, err := again.AppendState(nil); err != nil || !bytes.Equal(got, state) {
		t.Fatalf("a state of %d bytes came back as %d other ones: %v", len(state), len(got), err)
	}
	for n := range state {
		if err := run.NewTask(deps, stream.Slot{}).RestoreState(state[:n]); err == nil {
			t.Fatalf("a state cut off after %d of %d bytes was taken", n, len(state))
		}
	}
}

// TestOlderStatesAreTaken: processors of the versions before left snapshots of
// what folded folds; the first had not the two times behind the version's byte.
// What was folded before is known from each: folded again, it makes no row.
func TestOlderStatesAreTaken(t *testing.T) {
	second, err := os.ReadFile(filepath.Join("testdata", "state_v2.bin"))
	if err != nil {
		t.Fatal(err)
	}
	for version, state := range map[int][]byte{1: append([]byte{1}, untimed(second)...), 2: second} {
		_, deps := folded(t)
		rows := tally{}
		deps.Sink, deps.Publisher = rows, rows
		task := run.NewTask(deps, stream.Slot{Inputs: []stream.Input{{}, {}}})
		if err := task.RestoreState(state); err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		foldAll(t, task)
		if err := task.Flush(t.Context(), stream.Batch{Slot: stream.Slot{Inputs: []stream.Input{{}, {}}}, From: []int64{0, 0}, To: []int64{50, 500}}); err != nil {
			t.Fatal(err)
		}
		if rows["readings"] > 0 || rows["line_events"] > 0 {
			t.Errorf("version %d: copies of what it folded count again: %v", version, rows)
		}
	}
}

// tally counts the rows that would be inserted, by table.
type tally map[string]int

func (n tally) Insert(_ context.Context, b sink.Block, _ string) error {
	n[b.Table()] += b.Rows()
	return nil
}

func (n tally) Publish(context.Context, []broker.Message) error { return nil }

// untimed is a state without its version and its two times.
func untimed(state []byte) []byte {
	rest := state[1:]
	for range 2 {
		_, size := binary.Varint(rest)
		rest = rest[size:]
	}
	return rest
}
