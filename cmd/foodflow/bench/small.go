package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	kafkaembedded "github.com/foodflow/foodflow/internal/broker/embedded"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/run"
	"github.com/foodflow/foodflow/schemas"
)

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	return s[len(s)/2]
}

// startKafka runs the embedded broker in this process.
func startKafka(ctx context.Context, e Env) (broker.Config, func(), error) {
	own, cancel := context.WithCancel(ctx)
	addr, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- kafkaembedded.Serve(own, kafkaembedded.Config{Dir: e.Dir + "/kafka", Addr: "127.0.0.1:0"}, e.Logger, func(a string) { addr <- a })
	}()
	cfg := broker.DefaultConfig()
	select {
	case a := <-addr:
		cfg.Brokers = []string{a}
	case err := <-ended:
		cancel()
		return cfg, nil, err
	}
	return cfg, func() { cancel(); <-ended }, nil
}

// rate runs fn for about a second and gives calls a second.
func rate(fn func()) float64 {
	n, began := 0, time.Now()
	for time.Since(began) < time.Second {
		for range 1000 {
			fn()
		}
		n += 1000
	}
	return float64(n) / time.Since(began).Seconds()
}

// codec measures encoding and decoding of readings against copying the bytes.
func codec(context.Context, Env) (map[string]Result, error) {
	c, err := schemas.NewStaticCodec()
	if err != nil {
		return nil, err
	}
	r := plant.Reading{Tenant: plant.NewID(), Line: plant.NewID(), Sensor: plant.NewID(), TS: time.Now().UnixMilli(), Value: 4.2, Seq: 123456}
	frame := c.AppendReading(nil, &r)
	buf, out := make([]byte, 0, 256), plant.Reading{}
	bare := rate(func() { buf = append(buf[:0], frame...) })
	enc := rate(func() { buf = c.AppendReading(buf[:0], &r) })
	dec := rate(func() { err = c.DecodeReading(frame, &out) })
	return map[string]Result{"encode": against(enc, bare, "readings/s", ""), "decode": against(dec, bare, "readings/s", "")}, err
}

// stateSensors is how many sensors the state is measured with.
const stateSensors = 100_000

// state measures the memory and the snapshot of a sensor at one reading a
// second, after two minutes of them.
func state(_ context.Context, e Env) (map[string]Result, error) {
	c, err := schemas.NewStaticCodec()
	if err != nil {
		return nil, err
	}
	deps := run.Deps{Codec: c, Directory: directory.NewStore(), Metrics: run.NewMetrics(nil)}
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	task := run.NewTask(deps, stream.Slot{Inputs: []stream.Input{{}, {}}})
	tenant := plant.NewID()
	sensors := make([]plant.ID, stateSensors)
	for i := range sensors {
		sensors[i] = plant.NameID(tenant, fmt.Sprint(i))
	}
	var frame []byte
	begin := time.Now().UnixMilli()
	for round := range 120 {
		for i, s := range sensors {
			r := plant.Reading{Tenant: tenant, Sensor: s, TS: begin + int64(round)*1000, Value: float64(i % 7), Seq: int64(round)}
			frame = c.AppendReading(frame[:0], &r)
			if err := task.Fold(&stream.Record{Input: 1, Offset: int64(round), Value: frame}); err != nil {
				return nil, err
			}
		}
		if err := task.Settle(stream.Batch{From: []int64{0, 0}, To: []int64{0, stateSensors}}); err != nil {
			return nil, err
		}
		task.Discard()
	}
	memory := (heap() - before) / stateSensors
	began := time.Now()
	snap, err := task.AppendState(nil)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	fresh := run.NewTask(deps, stream.Slot{Inputs: []stream.Input{{}, {}}})
	began = time.Now()
	if err := fresh.RestoreState(snap); err != nil {
		return nil, err
	}
	restore := time.Since(began).Seconds() * 1_000_000 / stateSensors
	runtime.KeepAlive(task)
	e.Logger.Debug("snapshot taken", "duration", took)
	return map[string]Result{
		"state-memory":   {Value: memory, Unit: "bytes/sensor", Target: "<= 1024"},
		"state-snapshot": {Value: float64(len(snap)) / stateSensors, Unit: "bytes/sensor"},
		"state-restore":  {Value: restore, Unit: "s/1M sensors", Target: "<= 30"},
	}, nil
}
