package anomaly

import (
	"math"

	"github.com/foodflow/foodflow/internal/plant"
)

// The parameters of learning, one set for every sensor.
const (
	warmUp    = 200    // readings before a score is given
	fastRate  = 0.05   // of the fast level: about the last 40 readings
	slowRate  = 0.005  // of the slow level: about the last 400
	huber     = 2.0    // the largest step, in spreads
	tailShare = 0.02   // of readings that pass the tail's threshold
	tailRate  = 0.02   // of the tail's moments
	pause     = 60     // readings after which an excursion may score again
	flatRatio = 8      // times the longest repetition seen
	flatLeast = 120    // repetitions before a flatline can be found
	criesHalf = 0.9995 // decay of the count of findings, a reading
)

// Detector is the state of one sensor. The zero value is ready; it holds no
// pointers.
type Detector struct {
	n      uint32 // readings learnt
	lastTS int64
	last   float64

	fast, slow             float64 // levels
	fastSpread, slowSpread float64

	threshold    float64 // of distances, passed by tailShare
	excess, sq   float64 // first and second moment of what passes it
	cries        float32 // recent findings, decaying
	peak         float32 // highest score of the running excursion
	quiet        uint16  // readings since the excursion was last high
	excursion    bool
	sinceTS      int64  // of the running excursion
	repeats      uint32 // of the last value
	longest      uint32 // repetition that was broken
	flatReported bool

	limits [numLimits]limitState
	epoch  int64 // of limits
}

// Finding is one thing found at a reading.
type Finding struct {
	Kind     plant.AnomalyKind
	Since    int64
	Expected float64
	Score    float32
	// Ended says that a limit is kept again since Since.
	Ended bool
}

// MaxFindings is how many findings one reading can raise.
const MaxFindings = 8

// Findings is the scratch that Observe fills.
type Findings struct {
	list [MaxFindings]Finding
	n    int
}

// All gives what was found.
func (f *Findings) All() []Finding { return f.list[:f.n] }

func (f *Findings) add(x Finding) {
	f.list[f.n] = x
	f.n++
}

// Observe takes the next reading: ts in Unix milliseconds, value in the sensor's
// unit, now the broker's time of it or of a later one. It returns the score, 0 to
// 1, and leaves the findings in f.
func (d *Detector) Observe(cfg *Config, ts, now int64, value float64, q plant.Quality, f *Findings) float32 {
	f.n = 0
	if q == plant.QualityBad {
		return 0
	}
	if d.n > 0 && ts <= d.lastTS {
		if d.lastTS <= now+fastClock || ts > now+fastClock || ts < now-liveAge {
			return 0
		}
		d.setBack(ts)
	}
	anew := cfg.Epoch > d.epoch
	d.epoch = max(d.epoch, cfg.Epoch)
	d.observeLimits(cfg, ts, value, anew, f)
	score := float32(0)
	if cfg.Learned {
		score = d.learned(cfg, ts, value, f)
	}
	d.n, d.lastTS, d.last = d.n+1, ts, value
	return score
}

// Epoch is the newest of the configurations seen, under which limits find what
// they find. At the first reading of a later one each limit says what holds of it,
// though that has not changed: whoever began the epoch has ended alarms, and heeds
// nothing of an earlier one that is still on its way. An earlier epoch, of a
// configuration that was not known for a while, begins nothing.
func (d *Detector) Epoch() int64 { return d.epoch }

// A reading that is older than the newest is no news, unless the newest came from
// a clock that was fast: more than fastClock ahead of the broker. Then what is at
// most liveAge old is from a clock that was put right, and limits must not be
// blind until it has caught up.
const (
	fastClock = 10_000
	liveAge   = 60_000
)

// setBack puts the detector's times before ts. The time since the last reading is
// not known then, so it is taken for an hour: no rate is found.
func (d *Detector) setBack(ts int64) {
	d.lastTS, d.sinceTS = ts-3_600_000, min(d.sinceTS, ts)
	for i := range d.limits {
		d.limits[i].since = min(d.limits[i].since, ts)
	}
}

// learned scores a reading against what was learnt before it, then learns it.
func (d *Detector) learned(cfg *Config, ts int64, value float64, f *Findings) float32 {
	if d.n == 0 {
		d.fast, d.slow = value, value
	}
	d.flatline(value, ts, f)
	distance := math.Max(
		math.Abs(value-d.fast)/math.Max(d.fastSpread, d.floor(value)),
		math.Abs(value-d.slow)/math.Max(d.slowSpread, d.floor(value)))
	score := d.tailScore(distance)
	expected := d.slow
	d.learnTail(distance)
	d.learnLevel(value)
	if d.n < warmUp {
		return 0
	}
	shown := d.latch(score, ts)
	d.cries *= criesHalf
	if shown >= cfg.Threshold {
		f.add(Finding{Kind: plant.AnomalyDeviation, Since: d.sinceTS, Expected: expected, Score: shown})
		d.cries++
	}
	return shown
}

// floor is the least spread: a sensor whose value never moved must not turn its
// first rounding step into an infinite distance.
func (d *Detector) floor(value float64) float64 {
	return 1e-9 + 1e-4*math.Max(math.Abs(value), math.Abs(d.slow))
}

// learnLevel moves levels and spreads towards the reading by bounded steps.
// Early readings move them more, so that a start far from the truth is left
// quickly.
func (d *Detector) learnLevel(value float64) {
	early := 1 / float64(d.n+1)
	d.fast, d.fastSpread = step(d.fast, d.fastSpread, value, math.Max(fastRate, early), d.n)
	d.slow, d.slowSpread = step(d.slow, d.slowSpread, value, math.Max(slowRate, early), d.n)
}

func step(level, spread, value, rate float64, n uint32) (float64, float64) {
	diff := value - level
	dev := math.Abs(diff)
	if n > 10 && spread > 0 { // before that, nothing is known that could bound a step
		limit := huber * spread
		diff = math.Max(-limit, math.Min(limit, diff))
		dev = math.Min(dev, 2*limit)
	}
	return level + rate*diff, spread + rate*(dev-spread)
}

// learnTail follows the threshold and the moments of what passes it.
func (d *Detector) learnTail(distance float64) {
	if d.n < 20 {
		d.threshold = math.Max(d.threshold, math.Min(distance, 3))
		return
	}
	gain := 0.5 * math.Max(0.02, 1/math.Sqrt(float64(d.n)))
	if distance <= d.threshold {
		d.threshold = math.Max(0.5, d.threshold-gain*tailShare*d.threshold)
		return
	}
	// The step is bounded, so that one wild reading doesn't hide the next.
	over := math.Min(distance-d.threshold, 20*(d.excess+1))
	d.threshold += gain * (1 - tailShare) * d.threshold
	d.excess += tailRate * (over - d.excess)
	d.sq += tailRate * (over*over - d.sq)
}

// tailScore turns a distance into -log10 of its tail probability, over six.
func (d *Detector) tailScore(distance float64) float32 {
	if distance <= d.threshold {
		return float32(math.Min(1, -math.Log10(1-(1-tailShare)*distance/d.threshold)/6))
	}
	mean := math.Max(d.excess, 0.25)
	variance := math.Max(d.sq-d.excess*d.excess, 0.01*mean*mean)
	ratio := mean * mean / variance
	shape := math.Max(0.05, math.Min(0.45, 0.5*(1-ratio)))
	scale := math.Max(0.05, mean*(1-shape))
	logTail := math.Log10(tailShare) - math.Log1p(shape*(distance-d.threshold)/scale)/shape/math.Ln10
	return float32(math.Min(1, -logTail/6))
}

// latch lets an excursion score when it begins and when it grows, and damps a
// sensor that cries often: each recent finding takes a part off the next.
func (d *Detector) latch(score float32, ts int64) float32 {
	const high = 0.5
	damped := score / (1 + 0.1*d.cries)
	if score < high {
		if d.excursion {
			d.quiet++
			if d.quiet >= pause {
				d.excursion = false
			}
		}
		return damped
	}
	d.quiet = 0
	if !d.excursion {
		d.excursion, d.peak, d.sinceTS = true, score, ts
		return damped
	}
	if score <= d.peak+0.02 {
		return min(damped, high)
	}
	d.peak = score
	return damped
}

// flatline finds a value repeated far longer than ever before.
func (d *Detector) flatline(value float64, ts int64, f *Findings) {
	// Bit equality: a stuck sensor shows the very same value.
	if d.n > 0 && value != d.last {
		d.longest = max(d.longest, d.repeats)
		d.repeats, d.flatReported = 0, false
		return
	}
	if d.n == 0 {
		return
	}
	d.repeats++
	if d.flatReported || d.n < warmUp || d.repeats < flatLeast || d.repeats < flatRatio*(d.longest+1) {
		return
	}
	// A value that never moved is a setpoint or a switch, not a stuck sensor.
	if d.repeats >= d.n {
		return
	}
	d.flatReported = true
	f.add(Finding{Kind: plant.AnomalyFlatline, Since: ts, Expected: d.slow, Score: 0.8})
}
