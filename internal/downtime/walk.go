package downtime

import (
	"slices"

	"github.com/foodflow/foodflow/internal/plant"
)

const minuteMS = int64(60_000)

// Minute is what the ledger says of one minute, over all products.
type Minute struct {
	Start  int64
	TimeMS [plant.NumTimeClasses]int64
}

// Change is a state that a line entered.
type Change struct {
	TS     int64
	State  plant.State
	Reason string
}

// Stop is a span of one class during which the line did not run, [From, To).
type Stop struct {
	From, To int64
	Class    plant.TimeClass
	// State is the one it began in, Reason the first that was named in it.
	State  plant.State
	Reason string
}

// Policy is what tells the classes of a stop by an internal cause apart where a
// minute has several.
type Policy struct {
	// MinorStopMS is the longest minor stop.
	MinorStopMS int64
	// ClassOf gives the class that a reason stands for, false for none.
	ClassOf func(reason string) (plant.TimeClass, bool)
}

// Walker goes through a line's minutes in their order. Its exported fields are
// all that it knows of the past, so a walk can be left and taken up again.
type Walker struct {
	Policy Policy
	// Last is the class that the minute before ended in, by which an overlay
	// (silence, calendar) runs on; -1: not known.
	Last int
	// Open is the stop that the minute before ended in; its To is 0 for none.
	Open Stop
}

// NewWalker begins a walk.
func NewWalker(p Policy) *Walker { return &Walker{Policy: p, Last: -1} }

// piece is a part of a minute in one state and one class.
type piece struct {
	from, to int64
	class    plant.TimeClass
	change   *Change // nil: nothing is known before the first event
}

// Walk takes the next minutes and all changes that hold in them: the last one
// before them and those up to their end, by time; the stops that end within them
// go to emit. The length of a stop by an internal cause is seen as far as the
// changes go.
func (w *Walker) Walk(minutes []Minute, changes []Change, emit func(Stop)) {
	for i := range minutes {
		m := &minutes[i]
		if w.Open.To != 0 && w.Open.To != m.Start {
			w.End(emit)
			w.Last = -1
		}
		for _, p := range w.minute(m, changes) {
			w.take(p, emit)
		}
	}
}

// End gives out the stop that is still open.
func (w *Walker) End(emit func(Stop)) {
	if w.Open.To != 0 {
		emit(w.Open)
	}
	w.Open = Stop{}
}

// take adds a piece to the open stop, or ends that and begins another.
func (w *Walker) take(p piece, emit func(Stop)) {
	w.Last = int(p.class)
	var state plant.State
	var reason string
	if p.change != nil {
		state, reason = p.change.State, p.change.Reason
	}
	o := &w.Open
	if o.To == p.from && o.To != 0 && o.Class == p.class && (reason == "" || o.Reason == "" || reason == o.Reason) {
		o.To = p.to
		if o.Reason == "" {
			o.Reason = reason
		}
		return
	}
	w.End(emit)
	if p.class != plant.ClassRunning {
		w.Open = Stop{From: p.from, To: p.to, Class: p.class, State: state, Reason: reason}
	}
}

// minute lays the ledger's amounts over the minute's states.
func (w *Walker) minute(m *Minute, changes []Change) []piece {
	left := m.TimeMS
	var out []piece
	var gaps []piece // in order of time
	put := func(c plant.TimeClass, from, to int64, ch *Change) int64 {
		n := min(left[c], to-from)
		if n > 0 {
			left[c] -= n
			out = append(out, piece{from, from + n, c, ch})
		}
		return from + max(n, 0)
	}
	end := m.Start + minuteMS
	for t := m.Start; t < end; {
		ch, until, index := at(changes, t, end)
		from := t
		if from == m.Start && w.Last >= 0 && overlay(plant.TimeClass(w.Last)) {
			from = put(plant.TimeClass(w.Last), from, until, ch)
		}
		for _, c := range w.classes(changes, index) {
			from = put(c, from, until, ch)
		}
		if from < until {
			gaps = append(gaps, piece{from: from, to: until, change: ch})
		}
		t = until
	}
	for _, g := range gaps {
		from := g.from
		for _, c := range fillers() {
			from = put(c, from, g.to, g.change)
		}
	}
	slices.SortFunc(out, func(a, b piece) int { return int(a.from - b.from) })
	return out
}

// at gives the change that holds at t, until when, and its index (-1: none).
func at(changes []Change, t, end int64) (*Change, int64, int) {
	i, _ := slices.BinarySearchFunc(changes, t+1, func(c Change, ts int64) int {
		if c.TS < ts {
			return -1
		}
		return 1
	})
	if i < len(changes) {
		end = min(end, changes[i].TS)
	}
	if i == 0 {
		return nil, end, -1
	}
	return &changes[i-1], end, i - 1
}

// overlay says whether a class comes from something else than the state.
func overlay(c plant.TimeClass) bool {
	return c == plant.ClassNoSignal || c == plant.ClassUnscheduled || c == plant.ClassPlannedStop
}

// fillers are the classes in the order in which they fill what no state
// explains.
func fillers() []plant.TimeClass {
	out := []plant.TimeClass{plant.ClassNoSignal, plant.ClassUnscheduled, plant.ClassPlannedStop}
	for c := range plant.TimeClass(plant.NumTimeClasses) {
		if !overlay(c) {
			out = append(out, c)
		}
	}
	return out
}

// classes gives the classes that a state can have, the likeliest first.
func (w *Walker) classes(changes []Change, i int) []plant.TimeClass {
	if i < 0 {
		return nil
	}
	c, own := changes[i].State.Class()
	if !own {
		return []plant.TimeClass{c}
	}
	out := make([]plant.TimeClass, 0, 4)
	if w.Policy.ClassOf != nil && changes[i].Reason != "" {
		if c, ok := w.Policy.ClassOf(changes[i].Reason); ok {
			out = append(out, c)
		}
	}
	if w.length(changes, i) > w.Policy.MinorStopMS {
		return append(out, plant.ClassBreakdown, plant.ClassMinorStop, plant.ClassPlannedStop)
	}
	return append(out, plant.ClassMinorStop, plant.ClassBreakdown, plant.ClassPlannedStop)
}

// length is how long the stop by an internal cause lasts that the change at i
// belongs to; one without an end lasts long.
func (w *Walker) length(changes []Change, i int) int64 {
	first, last := i, i+1
	for first > 0 && internal(changes[first-1]) {
		first--
	}
	for last < len(changes) && internal(changes[last]) {
		last++
	}
	if last == len(changes) {
		return 1 << 62
	}
	return changes[last].TS - changes[first].TS
}

func internal(c Change) bool {
	_, own := c.State.Class()
	return own
}
