package simulate

import (
	"sort"

	"github.com/foodflow/foodflow/internal/plant"
)

const (
	minuteMS = int64(60_000)
	// settleMS is how long after its end a minute's figure is asked for.
	settleMS = int64(10_000)
	// keepMS is how much of the plan is kept behind the present.
	keepMS = 150 * minuteMS
)

// internal says whether a state is a stop whose class its length decides.
func internal(s *span) bool {
	switch s.State {
	case plant.StateStopped, plant.StateStopping:
		return s.Reason != "meal"
	case plant.StateAborting, plant.StateAborted, plant.StateHolding, plant.StateHeld, plant.StateUnholding, plant.StateClearing:
		return true
	default:
		return false
	}
}

// classOf gives the class of a state that is no internal stop.
func classOf(s *span) plant.TimeClass {
	switch s.State {
	case plant.StateExecute:
		return plant.ClassRunning
	case plant.StateLack, plant.StateSuspended, plant.StateSuspending, plant.StateUnsuspending:
		return plant.ClassStarved
	case plant.StateTailback:
		return plant.ClassBlocked
	case plant.StateCIP:
		return plant.ClassCIP
	case plant.StateAllergenClean:
		return plant.ClassAllergenClean
	case plant.StateChangeover, plant.StateStarting, plant.StateResetting:
		return plant.ClassSetup
	default:
		return plant.ClassPlannedStop // idle, completing, completed, a meal
	}
}

// stopAround gives the bounds of the stop that span i belongs to.
func stopAround(spans []span, i int) (from, to int64) {
	from, to = spans[i].From, spans[i].To
	for j := i - 1; j >= 0 && internal(&spans[j]); j-- {
		from = spans[j].From
	}
	for j := i + 1; j < len(spans) && internal(&spans[j]); j++ {
		to = spans[j].To
	}
	return from, to
}

// settled is the device time from which a minute's figure no longer changes:
// every stop that touches it has ended.
func (l *lineModel) settled(minute int64) int64 {
	end := minute + minuteMS
	l.timeline.plan(end)
	for i := range l.timeline.spans {
		s := &l.timeline.spans[i]
		if s.From < minute+minuteMS && s.To > minute && internal(s) {
			_, to := stopAround(l.timeline.spans, i)
			end = max(end, to)
		}
	}
	return end + settleMS
}

// expect works out a minute's figures, one record a product.
func (l *lineModel) expect(minute int64) []record {
	by := map[string]*figure{}
	of := func(product string) *figure {
		if by[product] == nil {
			by[product] = &figure{}
		}
		return by[product]
	}
	for i := range l.timeline.spans {
		s := &l.timeline.spans[i]
		ms := min(s.To, minute+minuteMS) - max(s.From, minute)
		if ms <= 0 {
			continue
		}
		class := classOf(s)
		if internal(s) {
			class = plant.ClassMinorStop
			if from, to := stopAround(l.timeline.spans, i); to-from > l.line.MinorStopMS {
				class = plant.ClassBreakdown
			}
		}
		f := of(s.Product)
		f.TimeMS[class] += ms
		if class != plant.ClassPlannedStop {
			f.BusyMS += ms
		}
		if class == plant.ClassRunning || class == plant.ClassMinorStop {
			f.RunMS += ms
		}
	}
	for _, c := range l.counts {
		if c.TS < minute || c.TS >= minute+minuteMS {
			continue
		}
		f, each := of(c.Product), float64(minuteMS)/l.rate(c.Product)
		f.Good += c.Good
		f.Scrap += c.Scrap
		f.Total += c.Good + c.Scrap
		f.IdealMS += (c.Good + c.Scrap) * each
		f.GoodMS += c.Good * each
	}
	products := make([]string, 0, len(by))
	for p := range by {
		products = append(products, p)
	}
	sort.Strings(products)
	out := make([]record, 0, len(by))
	for _, p := range products {
		out = append(out, record{T: kindOEE, Line: l.line.Key, Minute: minute, Product: p, OEE: by[p]})
	}
	return out
}

func (l *lineModel) rate(product string) float64 {
	for i := range l.line.Products {
		if l.line.Products[i].Key == product {
			return l.line.Products[i].PerMinute
		}
	}
	return l.line.IdealRate
}
