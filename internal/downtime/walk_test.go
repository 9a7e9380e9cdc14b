package downtime

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/processors/oee"
)

const base = int64(1_795_000_020_000) / minuteMS * minuteMS

// story runs events through the ledger as the processors do and gives its
// minutes and changes.
func story(t testing.TB, cfg *oee.Config, events []plant.LineEvent, signs []int64, until int64) ([]Minute, []Change) {
	t.Helper()
	byMinute := map[int64]*Minute{}
	var l oee.Line
	emit := func(p *plant.OEEPart) {
		m := byMinute[p.Minute]
		if m == nil {
			m = &Minute{Start: p.Minute}
			byMinute[p.Minute] = m
		}
		for i, ms := range p.TimeMS {
			m.TimeMS[i] += ms
		}
	}
	var changes []Change
	for i := range events {
		e := &events[i]
		for len(signs) > 0 && signs[0] <= e.TS {
			l.Signal(signs[0])
			signs = signs[1:]
		}
		e.ID = plant.EventID(e)
		if _, err := l.Event(e); err != nil {
			t.Fatal(err)
		}
		l.Advance(cfg, emit)
		changes = append(changes, Change{e.TS, e.State, e.Reason})
	}
	for _, s := range signs {
		l.Signal(s)
	}
	l.Signal(until + minuteMS)
	l.Advance(cfg, emit)
	var out []Minute
	for _, m := range byMinute {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Minute) int { return int(a.Start - b.Start) })
	return out, changes
}

func state(sec int64, s plant.State, reason string) plant.LineEvent {
	return plant.LineEvent{TS: base + sec*1000, Type: plant.EventState, State: s, Reason: reason, Seq: plant.NoSeq}
}

func everySecond(from, to int64) (out []int64) {
	for s := from; s < to; s++ {
		out = append(out, base+s*1000)
	}
	return out
}

func walk(minutes []Minute, changes []Change) (out []Stop) {
	w := NewWalker(Policy{MinorStopMS: plant.DefaultMinorStopMS})
	emit := func(s Stop) { out = append(out, s) }
	w.Walk(minutes, changes, emit)
	w.End(emit)
	return out
}

func TestStopsLieWhereTheyWere(t *testing.T) {
	for name, c := range map[string]struct {
		events []plant.LineEvent
		signs  []int64
		plan   func(int64) (plant.TimeClass, int64, bool)
		want   string
	}{
		"one short stop": {
			[]plant.LineEvent{state(0, plant.StateExecute, ""), state(70, plant.StateHeld, "jam"), state(95, plant.StateExecute, "")},
			everySecond(0, 300), nil,
			"70-95 minor_stop HELD jam",
		},
		"a breakdown through several states": {
			[]plant.LineEvent{state(0, plant.StateExecute, ""), state(30, plant.StateHolding, ""), state(32, plant.StateHeld, "motor"), state(600, plant.StateUnholding, ""), state(605, plant.StateExecute, "")},
			everySecond(0, 700), nil,
			"30-605 breakdown HOLDING motor",
		},
		"a short and a long stop share a minute": {
			[]plant.LineEvent{state(0, plant.StateExecute, ""), state(10, plant.StateHeld, "a"), state(20, plant.StateExecute, ""), state(40, plant.StateHeld, "b"), state(500, plant.StateExecute, "")},
			everySecond(0, 600), nil,
			"10-20 minor_stop HELD a; 40-500 breakdown HELD b",
		},
		"silence while it ran": {
			[]plant.LineEvent{state(0, plant.StateExecute, "")},
			append(everySecond(0, 90), everySecond(400, 500)...), nil,
			"209-400 no_signal EXECUTE ",
		},
		"a stop that another reason goes on": {
			[]plant.LineEvent{state(0, plant.StateExecute, ""), state(61, plant.StateHeld, "a"), state(100, plant.StateHeld, "b"), state(130, plant.StateExecute, "")},
			everySecond(0, 300), nil,
			"61-100 minor_stop HELD a; 100-130 minor_stop HELD b",
		},
		"setup, starved, blocked": {
			[]plant.LineEvent{state(0, plant.StateChangeover, ""), state(125, plant.StateExecute, ""), state(200, plant.StateLack, "no preforms"), state(215, plant.StateTailback, ""), state(220, plant.StateExecute, "")},
			everySecond(0, 400), nil,
			"0-125 setup CHANGEOVER ; 200-215 starved LACK no preforms; 215-220 blocked TAILBACK ",
		},
		"the shift ends within a minute while it stands": {
			[]plant.LineEvent{state(0, plant.StateExecute, ""), state(10, plant.StateHeld, "x")},
			everySecond(0, 400),
			func(ts int64) (plant.TimeClass, int64, bool) {
				if end := base + 90_000; ts < end {
					return 0, end, false
				}
				return plant.ClassUnscheduled, ts + 1_000_000, true
			},
			"10-90 minor_stop HELD x; 90-900 unscheduled HELD x",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := oee.DefaultConfig()
			cfg.Planned = c.plan
			if c.plan != nil {
				cfg.MinorStopMS = 1 << 40
			}
			minutes, changes := story(t, &cfg, c.events, c.signs, base+900_000)
			var got []string
			for _, s := range walk(minutes, changes) {
				got = append(got, fmt.Sprintf("%d-%d %s %s %s", (s.From-base)/1000, (s.To-base)/1000, s.Class, s.State, s.Reason))
			}
			if text := strings.Join(got, "; "); !strings.HasPrefix(text, c.want) { // what follows is the silence after the story
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

// TestStopsSumToTheLedger: whatever happens on a line, the stops of each class
// sum to the ledger's time in it, in all and in every minute; none overlaps
// another; and a walk that is left and taken up again at any minute gives the
// same stops.
func TestStopsSumToTheLedger(t *testing.T) {
	total, stops := int64(0), 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		cfg := oee.DefaultConfig()
		cfg.SilenceMS = 30_000
		if seed%3 == 0 {
			cfg.Planned = func(ts int64) (plant.TimeClass, int64, bool) {
				const cycle = 1_234_567
				if in := ts % cycle; in < 300_000 {
					return plant.ClassUnscheduled, ts - in + 300_000, true
				}
				return 0, ts - ts%cycle + cycle, false
			}
		}
		var events []plant.LineEvent
		var signs []int64
		ts := base
		for range 40 {
			ts += 1 + r.Int64N(200_000)
			reason := []string{"", "", "a", "b", "break"}[r.IntN(5)]
			events = append(events, plant.LineEvent{TS: ts, Type: plant.EventState, State: plant.State(r.IntN(len(plant.States()))), Reason: reason, Seq: plant.NoSeq})
		}
		for s := base; s < ts; s += 1 + r.Int64N(70_000) {
			signs = append(signs, s)
		}
		minutes, changes := story(t, &cfg, events, signs, ts)
		got := walk(minutes, changes)
		var ledger, sum [plant.NumTimeClasses]int64
		for i := range minutes {
			m := &minutes[i]
			for c, ms := range m.TimeMS {
				ledger[c] += ms
				in := int64(0)
				for _, s := range got {
					if int(s.Class) == c {
						in += max(0, min(s.To, m.Start+minuteMS)-max(s.From, m.Start))
					}
				}
				if plant.TimeClass(c) != plant.ClassRunning && in != ms {
					t.Fatalf("seed %d, minute %d: %d ms of %v, the ledger has %d", seed, i, in, plant.TimeClass(c), ms)
				}
			}
		}
		for i, s := range got {
			sum[s.Class] += s.To - s.From
			if s.From >= s.To || i > 0 && s.From < got[i-1].To {
				t.Fatalf("seed %d: %+v behind %+v", seed, s, got[i-1])
			}
		}
		ledger[plant.ClassRunning] = 0
		if sum != ledger {
			t.Fatalf("seed %d: stops sum to %v, the ledger to %v", seed, sum, ledger)
		}
		for _, ms := range sum {
			total += ms
		}
		stops += len(got)
		cut := 1 + r.IntN(len(minutes)-1)
		w := NewWalker(Policy{MinorStopMS: plant.DefaultMinorStopMS})
		var again []Stop
		emit := func(s Stop) { again = append(again, s) }
		w.Walk(minutes[:cut], changes, emit)
		w = &Walker{Policy: w.Policy, Last: w.Last, Open: w.Open}
		w.Walk(minutes[cut:], changes, emit)
		w.End(emit)
		if !slices.Equal(again, got) {
			t.Fatalf("seed %d: cut at %d gives other stops", seed, cut)
		}
	}
	t.Logf("%d stops, %d s", stops, total/1000)
	if stops < 5000 {
		t.Errorf("only %d stops: the stories have become quiet", stops)
	}
}
