package run

import (
	"context"
	"errors"
	"fmt"
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
		Anew: func(ctx context.Context, s stream.Slot, from []int64) error {
			return emptyFrom(ctx, d.ClickHouse, s, from)
		},
	})
	if err != nil {
		j.Close()
		return nil, err
	}
	return j, nil
}

// ErrRowsThere says that rows which a raised generation would make are there
// already: under its tokens they would be taken for new ones, and count twice.
var ErrRowsThere = errors.New("the generation was raised, but the tables hold rows of the records that are to be processed again; raise it together with a database that is empty (clickhouse.database)")

// emptyFrom holds that no row came from a slot's records from offsets on.
func emptyFrom(ctx context.Context, ch *clickhouse.Client, s stream.Slot, from []int64) error {
	for i, table := range []string{inputEvents: "line_events", inputReadings: "readings"} {
		found, err := ch.Exec(ctx, fmt.Sprintf("SELECT 1 FROM %s WHERE _partition = %d AND _offset >= %d LIMIT 1", table, s.Partition, from[i]), nil)
		if err != nil {
			return stream.Transient(fmt.Errorf("looking for rows of slot %d: %w", s.Partition, err))
		}
		if len(found) > 0 {
			return fmt.Errorf("%w: %s, offset %d and later", ErrRowsThere, table, from[i])
		}
	}
	return nil
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
