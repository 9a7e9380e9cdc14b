package run_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/run"
)

// busy is a slot under load: a hundred sensors fill its batches, each of which
// takes stepMS of the broker's time.
type busy struct {
	t      *testing.T
	deps   run.Deps
	rows   tally
	slot   stream.Slot
	tenant plant.ID
	off    int64
	step   int64
}

const (
	stepMS    = 10_000
	busySize  = 20_500
	busyCount = 100
)

func newBusy(t *testing.T) (*busy, stream.Task) {
	_, deps := folded(t)
	b := &busy{t: t, deps: deps, rows: tally{}, slot: stream.Slot{Inputs: []stream.Input{{}, {}}}, tenant: plant.NameID(plant.ID{}, "tenant")}
	b.deps.Sink, b.deps.Publisher = b.rows, b.rows
	return b, run.NewTask(b.deps, b.slot)
}

func (b *busy) put(task stream.Task, sensor string, ts int64) {
	b.t.Helper()
	r := plant.Reading{Tenant: b.tenant, Line: plant.NameID(b.tenant, "line"), Sensor: plant.NameID(b.tenant, sensor), TS: ts, Value: 1, Seq: b.off}
	if err := task.Fold(&stream.Record{Input: 1, Offset: b.off, Timestamp: ts, Value: b.deps.Codec.AppendReading(nil, &r)}); err != nil {
		b.t.Fatal(err)
	}
	b.off++
}

// batch folds one batch, with a reading of each of the sensors named first, and
// gives the minutes that it stored.
func (b *busy) batch(task stream.Task, silent ...string) int {
	b.t.Helper()
	from, at := b.off, folding+b.step*stepMS
	b.step++
	for _, s := range silent {
		b.put(task, s, at)
	}
	for i := range int64(busySize) {
		b.put(task, fmt.Sprint("busy ", i%busyCount), at+i*stepMS/busySize)
	}
	before := b.rows["readings_1m"]
	batch := stream.Batch{Slot: b.slot, From: []int64{0, from}, To: []int64{0, b.off}}
	if err := task.Settle(batch); err != nil {
		b.t.Fatal(err)
	}
	if err := task.Flush(b.t.Context(), batch); err != nil {
		b.t.Fatal(err)
	}
	return b.rows["readings_1m"] - before
}

func (b *busy) state(task stream.Task) []byte {
	b.t.Helper()
	s, err := task.AppendState(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// TestMinuteOfASilentSensor: a sensor that falls silent under load has its minute
// stored within forty seconds of the minute's end, which the others have with
// their first reading of the next: one row each, no more.
func TestMinuteOfASilentSensor(t *testing.T) {
	b, task := newBusy(t)
	var stored []int
	for i := range 13 { // the minute is over after six
		var silent []string
		if i == 0 {
			silent = []string{"silent"}
		}
		stored = append(stored, b.batch(task, silent...))
	}
	early, late := 0, 0
	for i, n := range stored {
		if i < 6 {
			early += n
		} else if i < 11 {
			late += n
		}
	}
	if early != 0 || late != busyCount+1 {
		t.Errorf("minutes stored by each batch of ten seconds: %v; want %d in all between the seventh and the eleventh", stored, busyCount+1)
	}
}

// TestMinutesComeAgainAlike: a task that goes on from any state stores the same
// minutes in the same batches and ends at the same state.
func TestMinutesComeAgainAlike(t *testing.T) {
	const batches = 9
	silent := func(i int) []string { return []string{fmt.Sprint("silent ", i)} }
	b, task := newBusy(t)
	var want []int
	for i := range batches {
		want = append(want, b.batch(task, silent(i)...))
	}
	end := b.state(task)
	for at := 2; at < batches; at += 5 {
		b, task := newBusy(t)
		for i := range batches {
			if i == at {
				state := b.state(task)
				task = run.NewTask(b.deps, b.slot)
				if err := task.RestoreState(state); err != nil {
					t.Fatal(err)
				}
			}
			if n := b.batch(task, silent(i)...); n != want[i] {
				t.Errorf("taken over before batch %d: batch %d stores %d minutes, want %d", at, i, n, want[i])
			}
		}
		if !bytes.Equal(b.state(task), end) {
			t.Errorf("taken over before batch %d: it ends at another state", at)
		}
	}
}

// TestMinutesOfAnOlderProgram: what a program folded that kept minutes under load
// is folded as that did, until a state is stored: a minute that it had not handed
// out is not let go of in silence.
func TestMinutesOfAnOlderProgram(t *testing.T) {
	b, task := newBusy(t)
	b.batch(task, "silent")
	state := b.state(task)
	state[0] = 3
	task = run.NewTask(b.deps, b.slot)
	if err := task.RestoreState(state); err != nil {
		t.Fatal(err)
	}
	stored := 0
	for range 12 {
		stored += b.batch(task)
	}
	if stored != 2*busyCount {
		t.Errorf("%d minutes stored, want those of the busy sensors, %d", stored, 2*busyCount)
	}
	b.state(task)
	if n := b.batch(task); n != 1 {
		t.Errorf("%d minutes stored once there is a state, want the silent one's", n)
	}
}
