package simulate

import (
	"math"
	"strings"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/feed"
	"github.com/foodflow/foodflow/internal/plant"
)

// sensor plays one sensor. Its value follows the line's state with the lag of
// what is measured, under correlated noise and a slow swing.
type sensor struct {
	d      *demo.Sensor
	random random
	phase  int64 // of its readings within their interval
	next   int64
	lag    float64 // milliseconds
	step   float64 // resolution of the instrument

	level float64 // what is measured
	noise float64 // correlated part, in standard deviations
	held  float64 // what it showed last, for a stuck one
	sign  float64 // direction of the planted fault
	fault *Planted
}

func newSensor(d *demo.Sensor, seed uint64, origin int64) *sensor {
	s := &sensor{d: d, random: newRandom(seed, origin, "values of "+d.Key), level: d.Nominal, held: d.Nominal}
	s.phase = phase(d)
	s.next = origin - origin%d.EveryMS + s.phase
	if s.next < origin {
		s.next += d.EveryMS
	}
	s.lag = lag(d)
	s.step = math.Pow(10, math.Floor(math.Log10(d.Noise/2)))
	return s
}

// phase of a sensor's readings within their interval, in milliseconds. It is a
// property of the device, the same in each run.
func phase(d *demo.Sensor) int64 { return newRandom(0, 0, "phase of "+d.Key).Int64N(d.EveryMS) }

// lag is the time constant of what is measured.
func lag(d *demo.Sensor) float64 {
	switch d.Kind {
	case "temperature":
		if strings.HasPrefix(d.Key, "oven") {
			return 240_000
		}
		return 45_000
	case "humidity":
		return 120_000
	case "conductivity", "concentration":
		return 10_000
	}
	return 1_500
}

// advance gives the readings up to and without to.
func (s *sensor) advance(t *timeline, f *faults, to int64, out []feed.Reading) []feed.Reading {
	for ; s.next < to; s.next += s.d.EveryMS {
		ts := s.next
		value := s.measure(&t.spans[t.at(ts)], ts)
		p := f.at(s.d.Key, ts)
		if p != nil && (s.fault == nil || s.fault.From != p.From) {
			s.sign = 1
			if s.random.Float64() < 0.5 {
				s.sign = -1
			}
			own := *p
			s.fault = &own
		}
		value, quality, sent := s.disturb(p, ts, value)
		if p == nil || p.Kind != Stuck {
			s.held = value
		}
		if !sent {
			continue
		}
		// The sequence number is the interval's number, so a reading has the same
		// whenever it is played.
		out = append(out, feed.Reading{Sensor: s.d.Key, TS: ts, Value: value, Quality: quality, Seq: (ts - s.phase) / s.d.EveryMS})
	}
	return out
}

// measure moves the level towards its target and adds what every sensor has.
func (s *sensor) measure(sp *span, ts int64) float64 {
	s.level += (s.target(sp, ts) - s.level) * (1 - math.Exp(-float64(s.d.EveryMS)/s.lag))
	s.noise = 0.6*s.noise + 0.8*s.random.NormFloat64()
	swing := 0.5 * math.Sin(2*math.Pi*float64(ts%2_400_000)/2_400_000)
	return s.level + s.d.Noise*s.scale(sp)*(s.noise+swing)
}

// scale is how much of the noise there is: a motor that stands makes none.
func (s *sensor) scale(sp *span) float64 {
	if sp.State != plant.StateExecute && s.d.Idle == 0 {
		return 0.05
	}
	return 1
}

// target is where the level goes in a state.
func (s *sensor) target(sp *span, ts int64) float64 {
	switch sp.State {
	case plant.StateExecute:
		return s.d.Nominal
	case plant.StateCIP:
		return s.cleaning(float64(ts-sp.From) / float64(sp.To-sp.From))
	case plant.StateAllergenClean:
		return s.d.CIP
	default:
		return s.d.Idle
	}
}

// cleaning is the recipe of a cleaning in place: pre-rinse, caustic, rinse,
// acid, final rinse; share is how much of it has passed.
func (s *sensor) cleaning(share float64) float64 {
	hot, strong := 0.0, 0.0
	switch {
	case share < 0.12:
	case share < 0.50:
		hot, strong = 1, 1
	case share < 0.60:
		hot, strong = 0.3, 0.02
	case share < 0.85:
		hot, strong = 0.75, 0.55
	}
	switch s.d.Kind {
	case "temperature":
		return s.d.Idle + hot*(s.d.CIP-s.d.Idle)
	case "conductivity":
		return s.d.Idle + strong*(s.d.CIP-s.d.Idle)
	}
	return s.d.CIP
}

// disturb applies a planted fault and the resolution of the instrument.
func (s *sensor) disturb(p *Planted, ts int64, v float64) (value float64, q plant.Quality, sent bool) {
	size := max(s.d.Noise, 0.002*math.Abs(s.d.Nominal))
	sent = true
	if p != nil {
		share := float64(ts-p.From) / float64(p.To-p.From)
		switch p.Kind {
		case Spike:
			v += s.sign * 12 * size
		case Shift:
			v += s.sign * 6 * size
		case Drift:
			v += s.sign * 8 * size * share
		case Noise:
			v += 4 * size * s.random.NormFloat64()
		case Stuck:
			return s.held, plant.QualityGood, true
		case Dropout:
			sent = false
		case Broken:
			return *s.d.RangeMax, plant.QualityBad, true
		}
	}
	return s.quantise(v), plant.QualityGood, sent
}

// quantise rounds to the instrument's resolution, within its range.
func (s *sensor) quantise(v float64) float64 {
	inverse := math.Round(1 / s.step)
	if s.step >= 1 {
		v = math.Round(v/s.step) * s.step
	} else {
		v = math.Round(v*inverse) / inverse
	}
	return min(max(v, *s.d.RangeMin), *s.d.RangeMax) + 0 // + 0 makes -0 a plain 0
}
