package anomaly

import (
	"math"

	"github.com/foodflow/foodflow/internal/plant"
)

// The limits that are watched, in the order of their states.
const (
	limitLL = iota
	limitL
	limitH
	limitHH
	limitRange
	limitRate
	numLimits
)

// limitState is one limit's: since when it is passed (or kept again) and
// whether that counts.
type limitState struct {
	active bool
	moving bool // passed but not yet active, or kept again but still active
	since  int64
}

// observeLimits holds a reading against what the owner set. anew: each limit says
// what holds of it, also where that is no news.
func (d *Detector) observeLimits(cfg *Config, ts int64, v float64, anew bool, f *Findings) {
	limit := func(i int, kind plant.AnomalyKind, passed, held bool, bound float64) {
		before := f.n
		d.limit(i, cfg, kind, ts, v, passed, held, bound, f)
		if anew && f.n == before {
			f.add(d.standing(i, kind, ts, bound))
		}
	}
	over := func(i int, kind plant.AnomalyKind, bound float64) {
		limit(i, kind, v > bound, v > bound-cfg.Deadband, bound)
	}
	under := func(i int, kind plant.AnomalyKind, bound float64) {
		limit(i, kind, v < bound, v < bound+cfg.Deadband, bound)
	}
	if !math.IsInf(cfg.LL, -1) || d.limits[limitLL].active {
		under(limitLL, plant.AnomalyLimitLL, cfg.LL)
	}
	if !math.IsInf(cfg.L, -1) || d.limits[limitL].active {
		under(limitL, plant.AnomalyLimitL, cfg.L)
	}
	if !math.IsInf(cfg.H, 1) || d.limits[limitH].active {
		over(limitH, plant.AnomalyLimitH, cfg.H)
	}
	if !math.IsInf(cfg.HH, 1) || d.limits[limitHH].active {
		over(limitHH, plant.AnomalyLimitHH, cfg.HH)
	}
	out := v < cfg.RangeMin || v > cfg.RangeMax
	ranged := !math.IsInf(cfg.RangeMin, -1) || !math.IsInf(cfg.RangeMax, 1)
	if out || d.limits[limitRange].active || anew && ranged {
		bound := cfg.RangeMax
		if v < cfg.RangeMin || math.IsInf(bound, 1) {
			bound = cfg.RangeMin
		}
		limit(limitRange, plant.AnomalyRange, out, out, bound)
	}
	if !math.IsInf(cfg.MaxRate, 1) && d.n > 0 {
		rate := math.Abs(v-d.last) / (float64(ts-d.lastTS) / 1000)
		limit(limitRate, plant.AnomalyRate, rate > cfg.MaxRate, rate > cfg.MaxRate, cfg.MaxRate)
	}
}

// standing is what holds of a limit since ts, as a finding.
func (d *Detector) standing(i int, kind plant.AnomalyKind, ts int64, bound float64) Finding {
	if d.limits[i].active {
		return Finding{Kind: kind, Since: ts, Expected: bound, Score: 1}
	}
	return Finding{Kind: kind, Since: ts, Expected: bound, Ended: true}
}

// limit moves one limit's state: passed makes it active after the on-delay,
// and it stays so until it is not held (deadband) for the off-delay.
func (d *Detector) limit(i int, cfg *Config, kind plant.AnomalyKind, ts int64, v float64, passed, held bool, limit float64, f *Findings) {
	s := &d.limits[i]
	want := passed
	delay := cfg.OnDelayMS
	if s.active {
		want, delay = held, cfg.OffDelayMS
	}
	if want == s.active {
		s.moving = false
		return
	}
	if !s.moving {
		s.moving, s.since = true, ts
	}
	if ts-s.since < delay {
		return
	}
	s.active, s.moving = want, false
	if want {
		f.add(Finding{Kind: kind, Since: s.since, Expected: limit, Score: 1})
	} else {
		if math.IsInf(limit, 0) { // it ends because its owner took the limit back
			limit = v
		}
		f.add(Finding{Kind: kind, Since: s.since, Expected: limit, Ended: true})
	}
}
