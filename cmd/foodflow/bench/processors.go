package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/run"
	"github.com/foodflow/foodflow/schemas"
)

// The plant of the measurement.
const (
	benchPartitions = 4
	benchSensors    = 20_000
	benchLines      = 200
	// bareBatch is the size of the bare loop's inserts, that of the processors'.
	bareBatch = 100_000
)

// processors measures the whole job (decoding, anti-replay, detection, OEE,
// rollups, exactly once) against consuming, decoding and inserting the same
// rows into a table of the same columns without rollups.
func processors(ctx context.Context, e Env) (map[string]Result, error) {
	b, err := newBed(ctx, e)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	kafka, codec := b.kafka, b.codec
	if err := fill(ctx, kafka, codec, fleet{benchSensors, benchLines}, e.Readings); err != nil {
		return nil, err
	}
	var bare, full []pace
	for round := range rounds {
		bare1, err := bareLoop(ctx, e, kafka, codec, round)
		if err != nil {
			return nil, err
		}
		full1, err := fullJob(ctx, e, kafka, codec, round)
		if err != nil {
			return nil, err
		}
		bare, full = append(bare, bare1), append(full, full1)
	}
	figure := func(of func(pace) float64, unit, target string) Result {
		return against(medianOf(full, of), medianOf(bare, of), unit, target)
	}
	return map[string]Result{
		"processors":            figure(func(p pace) float64 { return p.rate }, "readings/s", ">= 0.7"),
		"processors-cpu":        figure(func(p pace) float64 { return p.own + p.engine }, "CPU s/1M", "broker and engine included"),
		"processors-cpu-engine": figure(func(p pace) float64 { return p.engine }, "CPU s/1M", "the engine alone"),
	}, nil
}

func medianOf(ps []pace, of func(pace) float64) float64 {
	xs := make([]float64, len(ps))
	for i, p := range ps {
		xs[i] = of(p)
	}
	return median(xs)
}

// pace is what one run reached once it was under way.
type pace struct {
	rate float64 // readings a second
	// Processor seconds a million readings: of this process with the broker in
	// it, and of the engine.
	own, engine float64
}

// steady measures from the first rows in the table to the last, so that opening
// clients and joining a group count neither for nor against anyone.
func steady(ctx context.Context, e Env, ch *clickhouse.Client) (pace, error) {
	var (
		first       int
		began       time.Time
		own, engine time.Duration
	)
	for {
		out, err := ch.Exec(ctx, "SELECT count() FROM readings", nil)
		if err != nil {
			return pace{}, err
		}
		rows, err := strconv.Atoi(strings.TrimSpace(out))
		if err != nil {
			return pace{}, fmt.Errorf("counting rows: %w", err)
		}
		o, g, err := e.cpu()
		if err != nil {
			return pace{}, err
		}
		switch {
		case first == 0 && rows > 0:
			first, began, own, engine = rows, time.Now(), o, g
		case rows >= e.Readings:
			n := float64(rows - first)
			return pace{n / time.Since(began).Seconds(), (o - own).Seconds() / n * 1e6, (g - engine).Seconds() / n * 1e6}, nil
		}
		select {
		case <-ctx.Done():
			return pace{}, context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// fleet is how many sensors there are, spread over how many lines.
type fleet struct{ sensors, lines int }

// fill produces n readings, a second apart for each sensor, from an hour ago.
func fill(ctx context.Context, kafka broker.Config, codec *schemas.Codec, f fleet, n int) error {
	cl, err := broker.Client(kafka)
	if err != nil {
		return err
	}
	defer cl.Close()
	tenant := plant.NameID(plant.ID{}, "bench")
	lines, sensors := make([]plant.ID, f.lines), make([]plant.ID, f.sensors)
	for i := range lines {
		lines[i] = plant.NameID(tenant, "line", fmt.Sprint(i))
	}
	for i := range sensors {
		sensors[i] = plant.NameID(tenant, "sensor", fmt.Sprint(i))
	}
	begin := time.Now().Add(-time.Hour).UnixMilli()
	p := broker.NewProducer(cl)
	const chunk = 100_000
	for from := 0; from < n; from += chunk {
		msgs := make([]broker.Message, 0, chunk)
		for i := from; i < min(from+chunk, n); i++ {
			s, round := i%f.sensors, i/f.sensors
			r := plant.Reading{
				Tenant: tenant, Line: lines[s%f.lines], Sensor: sensors[s], TS: begin + int64(round)*1000 + int64(s%1000),
				Value: 20 + float64((i*7919)%1000)/250, Seq: int64(round),
			}
			key := r.Key()
			msgs = append(msgs, broker.Message{Topic: broker.TopicReadings, Key: key[:], Value: codec.AppendReading(nil, &r)})
		}
		if err := p.Publish(ctx, msgs); err != nil {
			return err
		}
	}
	return nil
}

// tables makes a database.
func tables(ctx context.Context, e Env, name string) (*clickhouse.Client, error) {
	cfg := clickhouse.DefaultConfig()
	cfg.URL, cfg.Database = e.ClickHouse, name
	c, err := clickhouse.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	if err := ddl.Apply(ctx, c, ddl.DefaultOptions(benchPartitions)); err != nil {
		return nil, err
	}
	return c, nil
}

// settle ends the merges of what a run left, so that they don't go on in the
// next one. The tables stay: some file systems are slow at making files for
// minutes after many were removed.
func settle(ctx context.Context, c *clickhouse.Client) error {
	out, err := c.Exec(ctx, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' FORMAT TSV", nil)
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(out) {
		if _, err := c.Exec(ctx, "SYSTEM STOP MERGES "+name, nil); err != nil {
			return err
		}
	}
	return nil
}

// bareLoop consumes every partition, decodes, and inserts.
func bareLoop(ctx context.Context, e Env, kafka broker.Config, codec *schemas.Codec, round int) (pace, error) {
	ch, err := tables(ctx, e, fmt.Sprint("bench_bare_", round))
	if err != nil {
		return pace{}, err
	}
	per, err := broker.EndOffsets(ctx, kafka, broker.TopicReadings)
	if err != nil {
		return pace{}, err
	}
	s := sink.New(ch, nil)
	loops, ctx := errgroup.WithContext(ctx)
	for p, end := range per {
		loops.Go(func() error {
			block := sink.NewReadings()
			insert := func(n int64) error {
				defer block.Reset()
				return s.Insert(ctx, block, fmt.Sprint("bare", round, "/", p, "/", n))
			}
			var r plant.Reading
			err := broker.ReadPartition(ctx, kafka, broker.TopicReadings, p, end, func(offset int64, value []byte) error {
				if err := codec.DecodeReading(value, &r); err != nil {
					return err
				}
				block.Append(&r, 0, p, offset)
				if block.Rows() >= bareBatch {
					return insert(offset)
				}
				return nil
			})
			if err != nil {
				return err
			}
			return insert(end)
		})
	}
	var got pace
	loops.Go(func() (err error) {
		got, err = steady(ctx, e, ch)
		return err
	})
	return got, errors.Join(loops.Wait(), settle(context.WithoutCancel(ctx), ch))
}

// benchGroup names the consumer group of a round.
func benchGroup(round int) string { return fmt.Sprint("bench-", round) }

// fullJob runs the processors until every reading is in the table.
func fullJob(ctx context.Context, e Env, kafka broker.Config, codec *schemas.Codec, round int) (pace, error) {
	ch, err := tables(ctx, e, fmt.Sprint("bench_full_", round))
	if err != nil {
		return pace{}, err
	}
	end, err := startJob(ctx, e, kafka, codec, ch, benchGroup(round))
	if err != nil {
		return pace{}, err
	}
	got, err := steady(ctx, e, ch)
	return got, errors.Join(err, end(), settle(ctx, ch))
}

// startJob runs the processors until end is called, which gives their error.
func startJob(ctx context.Context, e Env, kafka broker.Config, codec *schemas.Codec, ch *clickhouse.Client, group string) (end func() error, err error) {
	cfg := stream.DefaultConfig()
	cfg.Group = group
	job, err := run.Open(cfg, run.JobDeps{Kafka: kafka, ClickHouse: ch, Codec: codec, Directory: directory.NewStore(), Logger: e.Logger})
	if err != nil {
		return nil, err
	}
	own, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- job.Run(own) }()
	return func() error {
		cancel()
		err := <-ended
		job.Close()
		return err
	}, nil
}
