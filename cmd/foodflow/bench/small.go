package bench

import (
	"context"
	"slices"
	"time"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

func median(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	return s[len(s)/2]
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
