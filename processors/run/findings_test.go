package run_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/run"
	"github.com/foodflow/foodflow/schemas"
)

// findings is a slot whose one sensor has a high limit of 80, and what it publishes
// of that limit.
type findings struct {
	t     *testing.T
	codec *schemas.Codec
	dir   *directory.Store
	slot  stream.Slot
	task  stream.Task

	sensor  directory.Sensor
	version int64
	offset  int64
	said    []string
}

func newFindings(t *testing.T) *findings {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	f := &findings{t: t, codec: codec, dir: directory.NewStore()}
	f.slot = stream.Slot{Partition: 7, Inputs: []stream.Input{{Topic: broker.TopicLineEvents}, {Topic: broker.TopicReadings, ID: plant.NameID(plant.ID{}, "readings")}}}
	f.sensor = directory.Sensor{ID: plant.NameID(plant.ID{}, "s"), Tenant: plant.NameID(plant.ID{}, "t"), Line: plant.NameID(plant.ID{}, "l"), Key: "s", Detect: directory.DetectOff}
	f.configure(80, 0)
	f.begin()
	return f
}

// begin makes a new task of the slot, as a process does that takes it.
func (f *findings) begin() {
	f.task = run.NewTask(run.Deps{Codec: f.codec, Directory: f.dir, Sink: f, Publisher: f, Metrics: run.NewMetrics(nil)}, f.slot)
}

// configure tells the directory of a limit, 0: none, and an epoch.
func (f *findings) configure(h float64, epoch int64) {
	f.t.Helper()
	f.version++
	f.sensor.H, f.sensor.Epoch = &h, epoch
	if h == 0 {
		f.sensor.H = nil
	}
	e, err := directory.EntryOf(f.version, f.sensor)
	if err == nil {
		err = f.dir.Apply(&e)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// fold takes values, one a second, as a batch.
func (f *findings) fold(values ...float64) stream.Batch {
	f.t.Helper()
	b := stream.Batch{Slot: f.slot, From: []int64{0, f.offset}}
	for _, v := range values {
		r := plant.Reading{Tenant: f.sensor.Tenant, Line: f.sensor.Line, Sensor: f.sensor.ID, TS: folding + f.offset*1000, Value: v, Seq: f.offset}
		if err := f.task.Fold(&stream.Record{Input: 1, Offset: f.offset, Timestamp: r.TS, Value: f.codec.AppendReading(nil, &r)}); err != nil {
			f.t.Fatal(err)
		}
		f.offset++
	}
	b.To = []int64{0, f.offset}
	if err := f.task.Settle(b); err != nil {
		f.t.Fatal(err)
	}
	return b
}

func (f *findings) flush(b stream.Batch) {
	f.t.Helper()
	if err := f.task.Flush(f.t.Context(), b); err != nil {
		f.t.Fatal(err)
	}
}

func (f *findings) Insert(context.Context, sink.Block, string) error { return nil }

func (f *findings) Publish(_ context.Context, msgs []broker.Message) error {
	for _, m := range msgs {
		if m.Topic != broker.TopicAnomalies {
			continue
		}
		var a plant.Anomaly
		if err := f.codec.DecodeAnomaly(m.Value, &a); err != nil {
			return err
		}
		if a.TopicID != plant.ID(f.slot.Inputs[1].ID) || a.Partition != f.slot.Partition {
			f.t.Errorf("placed at %s/%d", a.TopicID, a.Partition)
		}
		what := "passed"
		if a.Ended {
			what = "kept"
		}
		f.said = append(f.said, fmt.Sprintf("%s@%d/%d", what, a.Offset, a.Epoch))
	}
	return nil
}

// want holds what was published since the last call.
func (f *findings) want(what, want string) {
	f.t.Helper()
	if got := strings.Join(f.said, " "); got != want {
		f.t.Errorf("%s: said %q, want %q", what, got, want)
	}
	f.said = nil
}

// TestFindingsNameTheirPlaceAndEpoch: a finding says where its reading lies and under
// which epoch it was found. When a new epoch begins each limit says what holds: the
// sensor was away, or its limit was off and on, and what was told of that is over.
func TestFindingsNameTheirPlaceAndEpoch(t *testing.T) {
	f := newFindings(t)
	f.flush(f.fold(70, 81, 81))
	f.want("passed", "passed@1/0")
	f.configure(80, 1)
	f.flush(f.fold(82, 82))
	f.want("passed in a new epoch", "passed@3/1")
	f.configure(80, 0)
	f.flush(f.fold(82, 70, 70))
	f.want("told by an old directory", "kept@6/1")
	f.configure(80, 2)
	f.flush(f.fold(70, 70))
	f.want("kept in a new epoch", "kept@8/2")
	state, err := f.task.AppendState(nil)
	if err != nil {
		t.Fatal(err)
	}
	f.begin()
	if err := f.task.RestoreState(state); err != nil {
		t.Fatal(err)
	}
	f.flush(f.fold(70, 81))
	f.want("restored: the epoch is no new one", "passed@11/2")
	f.configure(0, 3)
	f.flush(f.fold(81, 81))
	f.want("without the limit", "kept@12/3")
}

// TestFindingsOfSilenceAreSaid: a limit is lowered, and before anything more comes the
// slot goes to another process, which folds what came since the last snapshot again,
// in silence, under the limit of now. What the limit finds there is said with the first
// output, the last of it, once.
func TestFindingsOfSilenceAreSaid(t *testing.T) {
	f := newFindings(t)
	state, err := f.task.AppendState(nil)
	if err != nil {
		t.Fatal(err)
	}
	f.flush(f.fold(70, 75, 75, 75))
	f.want("below the limit", "")
	f.configure(72, 0)
	f.begin()
	if err := f.task.RestoreState(state); err != nil {
		t.Fatal(err)
	}
	f.offset = 0
	f.fold(70, 75)
	f.task.Discard()
	f.fold(71, 75)
	f.task.Discard()
	f.want("in silence", "")
	if !f.task.Unsettled() {
		t.Fatal("nothing is held back")
	}
	f.flush(f.fold())
	f.want("with the first output", "passed@3/0")
	f.flush(f.fold(75, 75))
	f.want("later", "")
}

// TestFindingsOfALimitRaisedAcrossARestart: the limit was passed after the last snapshot, then
// raised above the value, and the slot goes to another process. By its state nothing
// was ever passed; the new epoch says that the limit is kept.
func TestFindingsOfALimitRaisedAcrossARestart(t *testing.T) {
	for name, epoch := range map[string]int64{"a new epoch": 1, "control: none": 0} {
		f := newFindings(t)
		state, err := f.task.AppendState(nil)
		if err != nil {
			t.Fatal(err)
		}
		f.flush(f.fold(70, 85))
		f.want(name, "passed@1/0")
		f.configure(90, epoch)
		f.begin()
		if err := f.task.RestoreState(state); err != nil {
			t.Fatal(err)
		}
		f.offset = 0
		f.fold(70, 85)
		f.task.Discard()
		f.flush(f.fold(85))
		f.want(name, map[int64]string{1: "kept@0/1"}[epoch])
	}
}
