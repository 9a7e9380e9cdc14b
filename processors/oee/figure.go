package oee

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/foodflow/foodflow/internal/plant"
)

// sendDirty computes the minutes that are marked.
func (l *Line) sendDirty(cfg *Config, emit Emit) {
	for _, m := range slices.Sorted(maps.Keys(l.dirty)) {
		l.sendMinute(cfg, m, emit)
	}
	l.dirty = nil
}

// sendMinute computes a closed minute and emits what differs from what went out
// before.
func (l *Line) sendMinute(cfg *Config, m int64, emit Emit) {
	figures := l.figures(cfg, m)
	i := sort.Search(len(l.out), func(i int) bool { return l.out[i].figure.Minute >= m })
	j := i
	for j < len(l.out) && l.out[j].figure.Minute == m {
		// A product that the minute no longer has goes to zero.
		if p := l.out[j].figure.Product; !slices.ContainsFunc(figures, func(f plant.OEEPart) bool { return f.Product == p }) {
			figures = append(figures, plant.OEEPart{Minute: m, Product: p, Policy: cfg.Policy})
		}
		j++
	}
	slices.SortFunc(figures, func(a, b plant.OEEPart) int { return strings.Compare(a.Product, b.Product) })
	now := make([]sent, 0, len(figures))
	for k := range figures {
		s := sent{figure: figures[k]}
		old := plant.OEEPart{}
		for _, o := range l.out[i:j] {
			if o.figure.Product == s.figure.Product {
				old, s.revision = o.figure, o.revision
			}
		}
		if diff, any := difference(&s.figure, &old); any || s.revision == 0 {
			diff.Revision = s.revision
			s.revision++
			emit(&diff)
		}
		now = append(now, s)
	}
	l.out = slices.Replace(l.out, i, j, now...)
}

// figures computes a minute from what is known of it, one figure a product.
func (l *Line) figures(cfg *Config, m int64) []plant.OEEPart {
	var out []plant.OEEPart
	of := func(product string) *plant.OEEPart {
		for i := range out {
			if out[i].Product == product {
				return &out[i]
			}
		}
		out = append(out, plant.OEEPart{Minute: m, Product: product, Policy: cfg.Policy})
		return &out[len(out)-1]
	}
	for t := m; t < m+minuteMS; {
		c, product, until := l.at(cfg, t)
		until = min(until, m+minuteMS)
		of(product).TimeMS[c] += until - t
		t = until
	}
	i := sort.Search(len(l.counts), func(i int) bool { return l.counts[i].ts >= m })
	for ; i < len(l.counts) && l.counts[i].ts < m+minuteMS; i++ {
		c := &l.counts[i]
		product := c.product
		if product == "" {
			_, product, _ = l.at(cfg, c.ts)
		}
		addCount(cfg, of(product), c)
	}
	for i := range out {
		p := &out[i]
		p.RunMS = p.TimeMS[plant.ClassRunning] + p.TimeMS[plant.ClassMinorStop]
		for k, ms := range p.TimeMS {
			switch plant.TimeClass(k) {
			case plant.ClassUnscheduled, plant.ClassPlannedStop, plant.ClassNoSignal:
			default:
				p.PlannedBusyMS += ms
			}
		}
	}
	return out
}

// addCount adds a count to its minute's figure.
func addCount(cfg *Config, p *plant.OEEPart, c *count) {
	p.Unit = c.unit
	p.Good += c.good
	p.Scrap += c.scrap
	p.Rework += c.rework
	p.Total += c.good + c.scrap
	if rate := cfg.Ideal(p.Product, c.ts); rate > 0 {
		p.IdealTotalMS += (c.good + c.scrap) / rate * float64(minuteMS)
		p.IdealGoodMS += c.good / rate * float64(minuteMS)
	}
}

// at gives the class and product of the instant t and until when they hold.
func (l *Line) at(cfg *Config, t int64) (c plant.TimeClass, product string, until int64) {
	i := sort.Search(len(l.states), func(i int) bool { return l.states[i].ts > t })
	until = t + minuteMS
	if i < len(l.states) {
		until = min(until, l.states[i].ts)
	}
	c = plant.ClassNoSignal
	if i > 0 {
		p := &l.index[i-1]
		if c, product = p.class, p.product; c == internalStop {
			// An open stop is as long as it has lasted.
			if c = plant.ClassMinorStop; p.end-l.states[p.begin].ts > cfg.MinorStopMS {
				c = plant.ClassBreakdown
			}
		}
	}
	if silent, change := l.silence(cfg, t); silent {
		c, until = plant.ClassNoSignal, min(until, change)
	} else {
		until = min(until, change)
	}
	if cfg.Planned != nil && c != plant.ClassRunning {
		if planned, end, ok := cfg.Planned(t); ok {
			return planned, product, min(until, end)
		} else if end > t {
			until = min(until, end)
		}
	}
	return c, product, until
}

// silence says whether the line is silent at t, and when that changes next.
func (l *Line) silence(cfg *Config, t int64) (silent bool, until int64) {
	i := sort.Search(len(l.signs), func(i int) bool { return l.signs[i].last > t })
	const far = 1 << 62
	next := int64(far)
	if i < len(l.signs) {
		next = l.signs[i].first
		if next <= t { // signs before and behind t within one minute
			return false, l.signs[i].last
		}
	}
	if i == 0 {
		return true, next
	}
	if end := l.signs[i-1].last + cfg.SilenceMS; t < end {
		return false, min(end, next)
	}
	return true, next
}

// difference is a - b, and whether it is more than nothing.
func difference(a, b *plant.OEEPart) (plant.OEEPart, bool) {
	d := *a
	for i := range d.TimeMS {
		d.TimeMS[i] -= b.TimeMS[i]
	}
	d.PlannedBusyMS -= b.PlannedBusyMS
	d.RunMS -= b.RunMS
	d.IdealTotalMS -= b.IdealTotalMS
	d.IdealGoodMS -= b.IdealGoodMS
	d.Total -= b.Total
	d.Good -= b.Good
	d.Scrap -= b.Scrap
	d.StartupScrap -= b.StartupScrap
	d.Rework -= b.Rework
	if d.Unit == "" {
		d.Unit = b.Unit
	}
	none := plant.OEEPart{Tenant: d.Tenant, Line: d.Line, Minute: d.Minute, Product: d.Product, Revision: d.Revision, Unit: d.Unit, Policy: d.Policy}
	return d, d != none
}
