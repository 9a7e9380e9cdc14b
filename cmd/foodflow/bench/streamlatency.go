package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/foodflow/foodflow/api/live"
	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// The load of the stream's measurement, beside that of latency.
const (
	liveClients = 50
	livePause   = 10 * time.Millisecond // between two anomalies
	liveTime    = 8 * time.Second
	liveWarm    = 2 * time.Second
	liveRound   = -2 // names the group and the tables of the first part
)

// streamLatency measures the time from an anomaly being handed to the producer to
// each live client having it, over Server-Sent Events, while the processors work
// at half the rate that they reach, on the same machine.
func streamLatency(ctx context.Context, e Env) (map[string]Result, error) {
	b, err := newBed(ctx, e)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	ch, half, end, err := halfLoad(ctx, e, b, liveRound)
	if err != nil {
		return nil, err
	}
	dir, key, err := demoDirectory()
	if err != nil {
		return nil, errors.Join(err, end())
	}
	took, rate, err := listenUnderLoad(ctx, e, b, half, dir, key, query.New(ch, 10*time.Second))
	if err = errors.Join(err, end()); err != nil {
		return nil, err
	}
	p50, p99 := quantiles(took)
	note := fmt.Sprintf("at %.0f readings/s, %d clients, %d messages", rate, liveClients, len(took))
	return map[string]Result{
		"stream-latency-p50": {Value: p50, Unit: "ms", Target: note},
		"stream-latency-p99": {Value: p99, Unit: "ms", Target: "<= 300, " + note},
	}, nil
}

func listenUnderLoad(ctx context.Context, e Env, b *bed, half float64, dir *directory.Store, key string, ch *query.Reader) (took []time.Duration, rate float64, err error) {
	url, stop, err := startAPI(ctx, e, b, dir, ch)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	load, cancel := context.WithCancel(ctx)
	defer cancel()
	var total atomic.Int64
	sent := make(chan error, 1)
	go func() { sent <- trickle(load, b, half, &total) }()
	began := time.Now()
	var mu sync.Mutex // guards took and errs
	var errs error
	var wg sync.WaitGroup
	listening, gone := context.WithCancel(ctx)
	defer gone()
	for range liveClients {
		wg.Go(func() {
			err := listen(listening, url, key, func(d time.Duration) {
				if time.Since(began) < liveWarm {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, d)
			})
			mu.Lock()
			defer mu.Unlock()
			if listening.Err() == nil {
				errs = errors.Join(errs, err)
			}
		})
	}
	err = produceAnomalies(ctx, b.kafka, b.codec, began)
	time.Sleep(500 * time.Millisecond) // the last are on their way
	gone()
	wg.Wait()
	rate = float64(total.Load()) / time.Since(began).Seconds()
	cancel()
	err = errors.Join(err, errs, <-sent)
	if len(took) < liveClients*100 {
		err = errors.Join(err, fmt.Errorf("only %d messages came", len(took)))
	}
	return took, rate, err
}

// produceAnomalies publishes findings whose value is the time of their sending.
func produceAnomalies(ctx context.Context, kafka broker.Config, codec *schemas.Codec, began time.Time) error {
	cl, err := broker.Client(kafka)
	if err != nil {
		return err
	}
	defer cl.Close()
	p := broker.NewProducer(cl)
	tenant, sensor, line := demo.TenantID(), demo.ID("sensor", "filler-temperature"), demo.ID("line", demo.Bottling)
	for time.Since(began) < liveTime {
		now := time.Now()
		v, err := codec.AppendAnomaly(nil, &plant.Anomaly{ID: plant.NewID(), Tenant: tenant, Line: line, Sensor: sensor, TS: now.UnixMilli(), Since: now.UnixMilli(), Value: float64(now.UnixMicro()), Score: 1})
		if err != nil {
			return err
		}
		if err := p.Publish(ctx, []broker.Message{{Topic: broker.TopicAnomalies, Key: line[:], Value: v}}); err != nil {
			return err
		}
		time.Sleep(livePause)
	}
	return nil
}

// listen reads one stream and gives the age of each anomaly as it comes.
func listen(ctx context.Context, url, key string, age func(time.Duration)) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/plant-ops/stream?kinds=anomaly", nil)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	r.Header.Set("X-API-Key", key)
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	res, err := c.Do(r)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("listening: %s", res.Status)
	}
	for sc := bufio.NewScanner(res.Body); sc.Scan(); {
		data, ok := strings.CutPrefix(sc.Text(), "data: ")
		var a live.Anomaly
		if !ok || json.Unmarshal([]byte(data), &a) != nil || a.Value == 0 {
			continue
		}
		age(time.Since(time.UnixMicro(int64(a.Value))))
	}
	return errors.New("listening: the stream ended")
}
