package run_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/run"
	"github.com/foodflow/foodflow/schemas"
)

// folded is a task that took some minutes of five sensors on two lines.
func folded(t testing.TB) (stream.Task, run.Deps) {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	deps := run.Deps{Codec: codec, Directory: directory.NewStore(), Metrics: run.NewMetrics(nil)}
	task := run.NewTask(deps, stream.Slot{Inputs: []stream.Input{{}, {}}})
	tenant := plant.NameID(plant.ID{}, "tenant")
	for i := range 500 {
		r := plant.Reading{
			Tenant: tenant, Line: plant.NameID(tenant, "line", string(rune('a'+i%2))), Sensor: plant.NameID(tenant, "sensor", string(rune('a'+i%5))),
			TS: start + int64(i)*700, Value: float64(i % 13), Seq: int64(i),
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
	task.Discard()
	return task, deps
}

func fold(t testing.TB, task stream.Task, input, i int, frame []byte) {
	t.Helper()
	if err := task.Fold(&stream.Record{Input: input, Offset: int64(i), Timestamp: start + int64(i), Value: frame}); err != nil {
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

// TestFirstVersionOfStateIsTaken: a processor of the version before left its
// snapshots without the two times behind the version's byte.
func TestFirstVersionOfStateIsTaken(t *testing.T) {
	task, deps := folded(t)
	state, err := task.AppendState(nil)
	if err != nil {
		t.Fatal(err)
	}
	rest := state[1:]
	for range 2 {
		_, size := binary.Varint(rest)
		rest = rest[size:]
	}
	again := run.NewTask(deps, stream.Slot{Inputs: []stream.Input{{}, {}}})
	if err := again.RestoreState(append([]byte{1}, rest...)); err != nil {
		t.Fatal(err)
	}
	got, err := again.AppendState(nil)
	if err != nil || !bytes.Equal(got[3:], rest) { // both times are 0, a byte each
		t.Fatalf("the first version's state came back otherwise: %v", err)
	}
}
