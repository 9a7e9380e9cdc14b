package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	kafkaembedded "github.com/foodflow/foodflow/internal/broker/embedded"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	return s[len(s)/2]
}

// startKafka runs an empty embedded broker in this process.
func startKafka(ctx context.Context, e Env) (broker.Config, func(), error) {
	dir, err := os.MkdirTemp(e.Dir, "kafka-")
	if err != nil {
		return broker.Config{}, nil, fmt.Errorf("making folder: %w", err)
	}
	own, cancel := context.WithCancel(ctx)
	addr, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- kafkaembedded.Serve(own, kafkaembedded.Config{Dir: dir, Addr: "127.0.0.1:0"}, e.Logger, func(a string) { addr <- a })
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
