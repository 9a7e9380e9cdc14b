package simulate

import (
	"time"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/plant"
)

// Kind is what goes wrong with a sensor.
type Kind string

// The kinds.
const (
	Spike   Kind = "spike"   // a few readings far out
	Shift   Kind = "shift"   // another level
	Drift   Kind = "drift"   // slowly away
	Stuck   Kind = "stuck"   // the same value
	Noise   Kind = "noise"   // five times the noise
	Dropout Kind = "dropout" // no readings
	Broken  Kind = "broken"  // the end of the range, of bad quality
)

// Planted is an anomaly that was planted: [From, To).
type Planted struct {
	Sensor string `json:"sensor"`
	Kind   Kind   `json:"kind"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
}

// faults plans the anomalies of a line: one at a time, while it produces.
type faults struct {
	line    *demo.Line
	sensors []string
	random  random
	every   time.Duration
	next    int64
	planned []Planted
}

func newFaults(line *demo.Line, sensors []string, seed uint64, origin int64, every time.Duration) *faults {
	f := &faults{line: line, sensors: sensors, random: newRandom(seed, origin, "faults of "+line.Key), every: every}
	f.next = origin + 60_000 + f.random.wait(every/2, 0)
	return f
}

// plan makes sure that every anomaly that begins before ts is planned.
func (f *faults) plan(t *timeline, ts int64) {
	for f.next < ts {
		t.plan(f.next)
		i := t.at(f.next)
		if s := &t.spans[i]; s.State != plant.StateExecute {
			// Wait until it has run for a while.
			f.next = s.To + 20_000
			continue
		}
		kind := pick(f.random, []Kind{Spike, Spike, Shift, Drift, Stuck, Noise, Dropout, Broken})
		p := Planted{Sensor: pick(f.random, f.sensors), Kind: kind, From: f.next, To: f.next + f.length(kind)}
		f.planned = append(f.planned, p)
		f.next = p.To + f.random.wait(f.every, 30*time.Second)
	}
}

func (f *faults) length(k Kind) int64 {
	switch k {
	case Spike:
		return f.random.seconds(2, 1, 4)
	case Shift, Noise:
		return f.random.seconds(90, 45, 180)
	case Drift:
		return f.random.seconds(240, 150, 420)
	case Stuck:
		return f.random.seconds(150, 90, 300)
	case Dropout:
		return f.random.seconds(50, 25, 110)
	case Broken:
		return f.random.seconds(12, 5, 25)
	}
	return 0
}

// at gives the anomaly of a sensor at ts, or nil.
func (f *faults) at(sensor string, ts int64) *Planted {
	for i := range f.planned {
		if p := &f.planned[i]; p.Sensor == sensor && p.From <= ts && ts < p.To {
			return p
		}
	}
	return nil
}

// forget drops what ended before ts.
func (f *faults) forget(ts int64) {
	n := 0
	for n < len(f.planned) && f.planned[n].To <= ts {
		n++
	}
	f.planned = f.planned[n:]
}
