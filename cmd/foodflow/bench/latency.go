package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/plant"
)

// The load of the latency measurement.
const (
	latencyFill    = 3_000_000 // readings by which the full rate is found
	latencyTime    = 8 * time.Second
	latencyWarm    = 2 * time.Second
	latencySensors = 2_000
	latencyRound   = -1 // names the group and the tables of the first part
)

// latency measures how old the newest row of the table is while readings are
// produced at half the rate that the processors reach, each with the time at
// which it is sent: the time from there to a row that a query sees, batches
// included.
func latency(ctx context.Context, e Env) (map[string]Result, error) {
	b, err := newBed(ctx, e)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	ch, half, end, err := halfLoad(ctx, e, b, latencyRound)
	if err != nil {
		return nil, err
	}
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	sent := make(chan error, 1)
	var total atomic.Int64
	go func() { sent <- trickle(own, b, half, &total) }()
	var ages []float64
	for began := time.Now(); time.Since(began) < latencyTime; time.Sleep(10 * time.Millisecond) {
		out, err := ch.Exec(ctx, "SELECT toUnixTimestamp64Milli(max(ts)) FROM readings", nil)
		if err != nil {
			return nil, err
		}
		newest, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("reading the newest time: %w", err)
		}
		if time.Since(began) > latencyWarm {
			ages = append(ages, float64(time.Now().UnixMilli()-newest))
		}
	}
	cancel()
	if err := <-sent; err != nil {
		return nil, err
	}
	if err := end(); err != nil {
		return nil, err
	}
	slices.Sort(ages)
	rate := float64(total.Load()) / latencyTime.Seconds()
	note := fmt.Sprintf("at %.0f readings/s", rate)
	return map[string]Result{
		"latency-p50": {Value: ages[len(ages)/2], Unit: "ms", Target: note},
		"latency-p99": {Value: ages[len(ages)*99/100], Unit: "ms", Target: "<= 1000, " + note},
	}, nil
}

// halfLoad finds the rate that the processors reach, and leaves them running, on
// empty tables, for half of it; end ends them. round names group and tables.
func halfLoad(ctx context.Context, e Env, b *bed, round int) (ch *clickhouse.Client, half float64, end func() error, err error) {
	if err := fill(ctx, b.kafka, b.codec, fleet{benchSensors, benchLines}, latencyFill); err != nil {
		return nil, 0, nil, err
	}
	e.Readings = latencyFill
	full, err := fullJob(ctx, e, b.kafka, b.codec, round)
	if err != nil {
		return nil, 0, nil, err
	}
	if ch, err = tables(ctx, e, fmt.Sprint("bench_half_", -round)); err != nil {
		return nil, 0, nil, err
	}
	// The same group: it has read what was there.
	end, err = startJob(ctx, e, b.kafka, b.codec, ch, benchGroup(round))
	return ch, full.rate / 2, end, err
}

// trickle produces rate readings a second until ctx ends.
func trickle(ctx context.Context, b *bed, rate float64, total *atomic.Int64) error {
	cl, err := broker.Client(b.kafka)
	if err != nil {
		return err
	}
	defer cl.Close()
	p := broker.NewProducer(cl)
	tenant := plant.NameID(plant.ID{}, "bench")
	const step = 20 * time.Millisecond
	n := int(rate * step.Seconds())
	lines, sensors := make([]plant.ID, 20), make([]plant.ID, latencySensors)
	for i := range lines {
		lines[i] = plant.NameID(tenant, "line", fmt.Sprint(i))
	}
	for i := range sensors {
		sensors[i] = plant.NameID(tenant, "sensor", fmt.Sprint(i))
	}
	seq := int64(0)
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		msgs := make([]broker.Message, n)
		now := time.Now().UnixMilli()
		for i := range msgs {
			seq++
			s := seq % latencySensors
			r := plant.Reading{Tenant: tenant, Line: lines[s%20], Sensor: sensors[s], TS: now, Value: float64(i % 50), Seq: seq}
			key := r.Key()
			msgs[i] = broker.Message{Topic: broker.TopicReadings, Key: key[:], Value: b.codec.AppendReading(nil, &r)}
		}
		if err := p.Publish(context.WithoutCancel(ctx), msgs); err != nil {
			return err
		}
		total.Add(int64(n))
	}
}
