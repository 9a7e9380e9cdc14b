package simulate

import (
	"math"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/plant"
)

// counter is a line's good and scrap counters, read out every few seconds.
type counter struct {
	line   *demo.Line
	random random
	every  int64 // milliseconds between read-outs
	next   int64
	from   int64   // what ran before it has been counted
	part   float64 // of a unit that is under way
	warm   int64   // running milliseconds since the last start: scrap is higher then
}

// count is one read-out.
type count struct {
	TS          int64
	Product     string
	Good, Scrap float64
}

func newCounter(line *demo.Line, seed uint64, origin int64) *counter {
	c := &counter{line: line, random: newRandom(seed, origin, "counts of "+line.Key), every: 5_000, from: origin}
	if line.Key == demo.Bakery {
		c.every = 10_000
	}
	c.next = origin - origin%c.every + c.every
	return c
}

// advance reads the counters out up to and without to. A read-out holds one
// product: when the product changed since the last, there are two.
func (c *counter) advance(t *timeline, to int64, out []count) []count {
	for ; c.next < to; c.next += c.every {
		for c.from < c.next {
			// A product's own units are read out before the next one's begin.
			product, units := t.spans[t.at(c.from)].Product, 0.0
			for c.from < c.next {
				s := &t.spans[t.at(c.from)]
				if s.Product != product {
					break
				}
				until := min(s.To, c.next)
				units += c.units(s, until-c.from)
				c.from = until
			}
			if n := c.whole(units); n > 0 {
				scrap := c.scrap(n)
				out = append(out, count{c.next, product, n - scrap, scrap})
			}
		}
	}
	return out
}

// units made in ms of a span.
func (c *counter) units(s *span, ms int64) float64 {
	if s.State != plant.StateExecute {
		c.warm = 0
		return 0
	}
	rate := c.line.IdealRate
	for i := range c.line.Products {
		if c.line.Products[i].Key == s.Product {
			rate = c.line.Products[i].PerMinute
		}
	}
	speed := 0.95 + 0.015*c.random.NormFloat64()
	if c.warm < 60_000 {
		speed *= 0.8 // ramps up in the first minute
	}
	c.warm += ms
	return rate * max(speed, 0) * float64(ms) / 60_000
}

func (c *counter) whole(units float64) float64 {
	n := math.Floor(c.part + units)
	c.part += units - n
	return n
}

func (c *counter) scrap(n float64) float64 {
	p := 0.012
	if c.warm < 120_000 {
		p = 0.06
	}
	scrap := 0.0
	for range int(n) {
		if c.random.Float64() < p {
			scrap++
		}
	}
	return scrap
}
