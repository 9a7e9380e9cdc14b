package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/run"
	"github.com/foodflow/foodflow/schemas"
)

// stateSensors is how many sensors the state is measured with.
const stateSensors = 100_000

// state measures the snapshot and the memory of a sensor at one reading a
// second, after two minutes of them. The memory is that of a task which took the
// snapshot back: all that is kept of the sensors, without what a batch needs
// while it is open, which is bounded by the batch.
func state(_ context.Context, _ Env) (map[string]Result, error) {
	c, err := schemas.NewStaticCodec()
	if err != nil {
		return nil, err
	}
	deps := run.Deps{Codec: c, Directory: directory.NewStore(), Metrics: run.NewMetrics(nil)}
	slot := stream.Slot{Inputs: []stream.Input{{}, {}}}
	snap, err := aged(run.NewTask(deps, slot), c)
	if err != nil {
		return nil, err
	}
	before, fresh := heap(), run.NewTask(deps, slot)
	began := time.Now()
	if err := fresh.RestoreState(snap); err != nil {
		return nil, err
	}
	restore := time.Since(began).Seconds() * 1_000_000 / stateSensors
	memory := (heap() - before) / stateSensors
	runtime.KeepAlive(fresh)
	runtime.KeepAlive(snap)
	return map[string]Result{
		"state-memory":   {Value: memory, Unit: "bytes/sensor", Target: "<= 1024"},
		"state-snapshot": {Value: float64(len(snap)) / stateSensors, Unit: "bytes/sensor"},
		"state-restore":  {Value: restore, Unit: "s/1M sensors", Target: "<= 30"},
	}, nil
}

// aged folds two minutes of readings and gives the task's state.
func aged(task stream.Task, c *schemas.Codec) ([]byte, error) {
	tenant := plant.NewID()
	sensors := make([]plant.ID, stateSensors)
	for i := range sensors {
		sensors[i] = plant.NameID(tenant, fmt.Sprint(i))
	}
	var frame []byte
	begin := time.Now().UnixMilli()
	for round := range int64(120) {
		for i, s := range sensors {
			r := plant.Reading{Tenant: tenant, Sensor: s, TS: begin + round*1000, Value: float64(i % 7), Seq: round}
			frame = c.AppendReading(frame[:0], &r)
			if err := task.Fold(&stream.Record{Input: 1, Offset: round, Value: frame}); err != nil {
				return nil, err
			}
		}
		if err := task.Settle(stream.Batch{From: []int64{0, 0}, To: []int64{0, stateSensors}}); err != nil {
			return nil, err
		}
		task.Discard()
	}
	return task.AppendState(nil)
}

func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// restartFleet is what a processor is restarted with.
func restartFleet() fleet { return fleet{sensors: 1_000_000, lines: 2_000} }

// restart measures the time from the start of a processor that finds the state
// of a million sensors on Kafka until it has stored readings that came since:
// joining the group, loading, restoring, folding, inserting. The bare loop reads
// the same snapshots from Kafka and drops them.
func restart(ctx context.Context, e Env) (map[string]Result, error) {
	b, err := newBed(ctx, e)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	kafka, codec := b.kafka, b.codec
	f := restartFleet()
	if err := fill(ctx, kafka, codec, f, f.sensors); err != nil {
		return nil, err
	}
	ch, err := tables(ctx, e, "bench_restart")
	if err != nil {
		return nil, err
	}
	e.Readings = f.sensors
	life := func() (time.Duration, error) {
		began := time.Now()
		end, err := startJob(ctx, e, kafka, codec, ch, "bench-restart")
		if err != nil {
			return 0, err
		}
		if _, err := steady(ctx, e, ch); err != nil {
			return 0, err
		}
		return time.Since(began), end()
	}
	if _, err := life(); err != nil {
		return nil, err
	}
	// One reading more for each line.
	if err := fill(ctx, kafka, codec, f, f.lines); err != nil {
		return nil, err
	}
	bare, err := readSnapshots(ctx, kafka)
	if err != nil {
		return nil, err
	}
	e.Readings += f.lines
	took, err := life()
	if err != nil {
		return nil, err
	}
	r := against(took.Seconds(), bare.Seconds(), "s", "<= 30")
	return map[string]Result{"restart-1m-sensors": r}, nil
}

// readSnapshots reads what lies on the state topic.
func readSnapshots(ctx context.Context, kafka broker.Config) (time.Duration, error) {
	began := time.Now()
	err := broker.ReadTopic(ctx, kafka, broker.TopicProcessorState, func(int32, int64, []byte) error { return nil })
	return time.Since(began), err
}
