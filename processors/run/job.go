package run

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/internal/telemetry"
	"github.com/foodflow/foodflow/processors/snapshot"
	"github.com/foodflow/foodflow/schemas"
)

// JobDeps are what a processor needs from outside.
type JobDeps struct {
	Kafka      broker.Config
	ClickHouse *clickhouse.Client
	Codec      *schemas.Codec
	Directory  *directory.Store
	Logger     *slog.Logger
	Registry   prometheus.Registerer // may be nil
	Tracer     *telemetry.Tracer     // may be nil
	// Inserter, when set, stands between the tasks and ClickHouse.
	Inserter func(Inserter) Inserter
}

// Job is one member of the processors' group.
type Job struct {
	runner *stream.Runner
	snaps  *snapshot.Store
	pub    *broker.Producer
}

// Open puts a processor together; it processes nothing before Run. cfg.Inputs
// is set here.
func Open(cfg stream.Config, d JobDeps) (*Job, error) {
	open := broker.Opener(d.Kafka)
	snaps, err := snapshot.New(broker.TopicProcessorState, cfg.Group, open, d.Logger)
	if err != nil {
		return nil, err
	}
	pub, err := broker.OpenProducer(d.Kafka)
	if err != nil {
		snaps.Close()
		return nil, err
	}
	j := &Job{snaps: snaps, pub: pub}
	var into Inserter = sink.New(d.ClickHouse, d.Registry)
	if d.Inserter != nil {
		into = d.Inserter(into)
	}
	deps := Deps{Codec: d.Codec, Directory: d.Directory, Sink: into, Publisher: pub, Metrics: NewMetrics(d.Registry)}
	cfg.Inputs = Inputs()
	j.runner, err = stream.New(cfg, stream.Deps{
		Client: open, Snapshots: snaps, Logger: d.Logger, Registry: d.Registry, Tracer: d.Tracer,
		Tasks: func(s stream.Slot) (stream.Task, error) { return NewTask(deps, s), nil },
	})
	if err != nil {
		j.Close()
		return nil, err
	}
	return j, nil
}

// Run processes until ctx ends, then drains; see stream.Runner.Run.
func (j *Job) Run(ctx context.Context) error { return j.runner.Run(ctx) }

// Ping asks Kafka for a sign of life.
func (j *Job) Ping(ctx context.Context) error { return j.pub.Ping(ctx) }

// Close ends the clients; Run must have returned.
func (j *Job) Close() {
	j.snaps.Close()
	j.pub.Close()
}
