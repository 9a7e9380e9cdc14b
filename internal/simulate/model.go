package simulate

import (
	"sort"
	"strconv"
	"time"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/feed"
	"github.com/foodflow/foodflow/internal/plant"
)

// lineModel plays one line and remembers what it must come to.
type lineModel struct {
	line     *demo.Line
	timeline *timeline
	counter  *counter
	faults   *faults
	sensors  []*sensor

	told    int64 // states that begin before it have been sent
	planted int64 // faults that begin before it have been written down
	tallies []tally
	events  map[int64]*record // by minute, not yet closed
	counts  []count           // that an unsettled minute needs
	open    int64             // first minute whose figure has not been written
	skipped map[int64]bool    // minutes behind open that were settled out of order
}

// model plays the plant.
type model struct {
	lines []*lineModel
	until int64
}

// batch is one step: what to send, and what to write down once it is
// acknowledged.
type batch struct {
	readings []feed.Reading
	events   []feed.Event
	records  []record
}

func newModel(p *demo.Plant, seed uint64, origin int64, every time.Duration) *model {
	m := &model{until: origin}
	for i := range p.Lines {
		d := &p.Lines[i]
		if d.ByHand {
			continue
		}
		l := &lineModel{
			line: d, timeline: newTimeline(d, seed, origin), counter: newCounter(d, seed, origin),
			told: origin, planted: origin, open: origin, events: map[int64]*record{}, skipped: map[int64]bool{},
		}
		var keys []string
		for j := range d.Sensors {
			// That one is fed by a recording.
			if s := &d.Sensors[j]; s.Key != demo.MachineTemperature {
				l.sensors = append(l.sensors, newSensor(s, seed, origin))
				keys = append(keys, s.Key)
			}
		}
		l.tallies = make([]tally, len(l.sensors))
		l.faults = newFaults(d, keys, seed, origin, every)
		m.lines = append(m.lines, l)
	}
	return m
}

// advance plays up to and without to.
func (m *model) advance(to int64) *batch {
	b := &batch{}
	for _, l := range m.lines {
		l.advance(to, b)
	}
	// In order of time, as a gateway that polls its devices sends them.
	sort.SliceStable(b.readings, func(i, j int) bool { return b.readings[i].TS < b.readings[j].TS })
	sort.SliceStable(b.events, func(i, j int) bool { return b.events[i].TS < b.events[j].TS })
	m.until = to
	return b
}

func (l *lineModel) advance(to int64, b *batch) {
	l.timeline.plan(to + minuteMS)
	l.faults.plan(l.timeline, to)
	l.tell(to, b)
	for i, s := range l.sensors {
		n := len(b.readings)
		b.readings = s.advance(l.timeline, l.faults, to, b.readings)
		for _, r := range b.readings[n:] {
			l.tally(i, r.TS, b)
			l.tallies[i].add(r.Value, r.Quality)
		}
		l.tally(i, to, b)
	}
	for i := range l.faults.planned {
		if p := &l.faults.planned[i]; p.From >= l.planted && p.From < to {
			b.records = append(b.records, record{T: kindPlanted, Sensor: p.Sensor, Kind: p.Kind, From: p.From, To: p.To})
		}
	}
	l.planted = to
	l.close(to, b)
	l.faults.forget(to - minuteMS)
	l.timeline.forget(min(to, l.open) - keepMS)
}

// tally closes sensor i's minute if ts is past it.
func (l *lineModel) tally(i int, ts int64, b *batch) {
	t := &l.tallies[i]
	if ts < t.minute+minuteMS {
		return
	}
	if t.count > 0 {
		b.records = append(b.records, t.record(l.sensors[i].d.Key))
	}
	*t = tally{minute: ts - ts%minuteMS}
}

// tell sends the states and counts of [told, to).
func (l *lineModel) tell(to int64, b *batch) {
	id := func(kind string, ts int64, more string) plant.ID {
		return plant.NameID(l.line.ID, "simulate", kind, strconv.FormatInt(ts, 10), more)
	}
	for i := range l.timeline.spans {
		s := &l.timeline.spans[i]
		if s.From < l.told || s.From >= to {
			continue
		}
		b.events = append(b.events, feed.Event{
			Line: l.line.Key, ID: id("state", s.From, ""), TS: s.From, Type: plant.EventState,
			State: s.State, Reason: s.Reason, Product: s.Product,
		})
		b.records = append(b.records, record{
			T: kindState, Line: l.line.Key, From: s.From, To: s.To, State: s.State.String(), Reason: s.Reason, Product: s.Product,
		})
		l.minute(s.From).States++
	}
	n := len(l.counts)
	l.counts = l.counter.advance(l.timeline, to, l.counts)
	for _, c := range l.counts[n:] {
		b.events = append(b.events, feed.Event{
			Line: l.line.Key, ID: id("count", c.TS, c.Product), TS: c.TS, Type: plant.EventCount,
			Product: c.Product, Good: c.Good, Scrap: c.Scrap, Unit: l.line.Unit,
		})
		l.minute(c.TS).Counts++
	}
	l.told = to
}

func (l *lineModel) minute(ts int64) *record {
	m := ts - ts%minuteMS
	if l.events[m] == nil {
		l.events[m] = &record{T: kindEvents, Line: l.line.Key, Minute: m}
	}
	return l.events[m]
}

// close writes down the minutes that are over, and the figures that are
// settled, at to.
func (l *lineModel) close(to int64, b *batch) {
	var over []int64
	for m := range l.events {
		if m+minuteMS <= to {
			over = append(over, m)
		}
	}
	sort.Slice(over, func(i, j int) bool { return over[i] < over[j] })
	for _, m := range over {
		b.records = append(b.records, *l.events[m])
		delete(l.events, m)
	}
	for m := l.open; m+minuteMS+settleMS <= to; m += minuteMS {
		if l.skipped[m] || l.settled(m) > to {
			continue
		}
		b.records = append(b.records, l.expect(m)...)
		l.skipped[m] = true
	}
	for l.skipped[l.open] {
		delete(l.skipped, l.open)
		l.open += minuteMS
	}
	n := 0
	for n < len(l.counts) && l.counts[n].TS < l.open {
		n++
	}
	l.counts = l.counts[n:]
}
