package oee

import (
	"errors"
	"testing"

	"github.com/foodflow/foodflow/internal/plant"
)

// TestLongSilence: a weekend is told minute by minute; months are not, whether they
// lie between two signs or between samples of each day. What comes within the horizon
// afterwards counts as ever.
func TestLongSilence(t *testing.T) {
	const hour, day = 60 * minuteMS, 24 * 60 * minuteMS
	daily := func(days int64) (signs []int64) {
		for d := range days {
			signs = append(signs, d*day)
		}
		return signs
	}
	for name, c := range map[string]struct {
		signs []int64
		parts int // minutes with a part
	}{
		"a weekend":         {[]int64{0, 60 * hour}, 60 * 60},
		"three days":        {[]int64{0, 3 * day}, 3 * 24 * 60},
		"months":            {[]int64{0, 178 * day}, 1 + 3 + maxSilence},
		"a sample each day": {daily(178), 177 + 177*3 + maxSilence},
		"a living line":     {[]int64{0, 2 * minuteMS, 4 * minuteMS, 6 * minuteMS}, 6},
	} {
		var l Line
		cfg, got := config(60), sums{}
		emit := func(p *plant.OEEPart) { got.add(p) }
		for _, at := range c.signs {
			l.Signal(t0 + at)
		}
		l.Signal(t0 + c.signs[len(c.signs)-1] + LatenessMS)
		l.Advance(&cfg, emit)
		if len(got) != c.parts {
			t.Errorf("%s: %d minutes have a part, want %d", name, len(got), c.parts)
		}
		for _, at := range c.signs[:len(c.signs)-1] {
			if _, ok := got[key{t0 + at, ""}]; !ok {
				t.Errorf("%s: the minute of a sign has no part", name)
			}
		}
		// The line goes on, and a count comes an hour late.
		last := c.signs[len(c.signs)-1]
		for _, e := range []plant.LineEvent{state(last, plant.StateExecute, "", ""), made(last-hour, 7, 0), made(last+minuteMS, 5, 0), made(last+3*minuteMS, 0, 0)} {
			if _, err := l.Event(&e); err != nil {
				t.Fatal(err)
			}
			l.Advance(&cfg, emit)
		}
		if good := got.total().Good; good != 12 {
			t.Errorf("%s: %v good, want 12", name, good)
		}
		if p := got[key{t0 + last + minuteMS, ""}]; p.RunMS != minuteMS {
			t.Errorf("%s: ran %d ms of the minute after", name, p.RunMS)
		}
	}
}

// TestBacklog: a gateway that was cut off sends an hour of what it kept, each bottle
// and each state, in any order, while another goes on with the line. Each minute is
// computed once for all of it, not for each event.
func TestBacklog(t *testing.T) {
	const n = 100_000
	for name, place := range map[string]func(i int64) int64{
		"oldest first": func(i int64) int64 { return i },
		"newest first": func(i int64) int64 { return n - 1 - i },
		"mixed":        func(i int64) int64 { return i * 77_773 % n },
	} {
		for kind, event := range map[string]func(i int64) plant.LineEvent{
			"count": func(i int64) plant.LineEvent { return made(minuteMS+i*33, 1, 0) },
			"state": func(i int64) plant.LineEvent {
				return state(minuteMS+i*33, plant.StateHeld, "jam"[:i%3], "")
			},
		} {
			cfg, got, parts := config(60), sums{}, 0
			var l Line
			emit := func(p *plant.OEEPart) { got.add(p); parts++ }
			e := state(0, plant.StateExecute, "", "")
			if _, err := l.Event(&e); err != nil {
				t.Fatal(err)
			}
			for m := range int64(60) {
				l.Signal(t0 + m*minuteMS)
			}
			l.Advance(&cfg, emit)
			parts = 0
			for i := range int64(n) {
				e := event(place(i))
				if fresh, err := l.Event(&e); err != nil || !fresh {
					t.Fatal(fresh, err)
				}
			}
			l.Advance(&cfg, emit)
			total := got.total()
			if kind == "count" && total.Good != n || kind == "state" && total.TimeMS[plant.ClassBreakdown] != 57*minuteMS || parts > 60 {
				t.Errorf("%s, each %s: %d parts, %+v", name, kind, parts, total)
			}
		}
	}
}

// TestCopiesOfOldCounts: a gateway that had no answer sends its buffer again,
// after hours. Each count of it counts once, whether it was in time or late at
// first, also in a line whose state was stored in between; late ones of one batch
// and minute are one part, which can be told from the minute's others.
func TestCopiesOfOldCounts(t *testing.T) {
	cfg := DefaultConfig()
	var l Line
	total, revisions := 0.0, map[uint32]bool{}
	emit := func(p *plant.OEEPart) {
		total += p.Total
		if p.Revision >= LateRevision {
			revisions[p.Revision] = true
		}
	}
	count := func(i int64) *plant.LineEvent {
		e := &plant.LineEvent{Type: plant.EventCount, TS: t0 + i*1000, Good: 1, Seq: i}
		e.ID = plant.EventID(e)
		return e
	}
	const inTime, late = 600, 60
	send := func() {
		for i := range int64(inTime) {
			if _, err := l.Event(count(i)); err != nil {
				t.Fatal(err)
			}
		}
		l.Advance(&cfg, emit)
	}
	send()
	for ts := t0; ts < t0+6*60*minuteMS; ts += minuteMS {
		l.Signal(ts)
		l.Advance(&cfg, emit)
	}
	for i := range int64(late) {
		if fresh, err := l.Event(count(inTime + i)); err != nil || !fresh {
			t.Fatal(fresh, err)
		}
		if i%20 == 19 {
			l.Advance(&cfg, emit)
		}
	}
	var again Line
	if _, err := again.RestoreState(l.AppendState(nil)); err != nil {
		t.Fatal(err)
	}
	l = again
	send()
	for i := range int64(late) {
		if fresh, err := l.Event(count(inTime + i)); err != nil || fresh {
			t.Fatal(fresh, err)
		}
	}
	l.Advance(&cfg, emit)
	if total != inTime+late || len(revisions) != late/20 {
		t.Errorf("%v units of %d, late parts of %d revisions", total, inTime+late, len(revisions))
	}
}

// TestFastLine: a bottling line that reports each of 1,000 bottles a minute, and
// one that sends more than can be kept: every bottle counts once.
func TestFastLine(t *testing.T) {
	for name, n := range map[string]int64{"a bottle each": 130_000, "too many": maxKept + 5_000} {
		cfg := DefaultConfig()
		var l Line
		total := 0.0
		emit := func(p *plant.OEEPart) { total += p.Total }
		pace := 119 * minuteMS / n
		for i := range n {
			e := plant.LineEvent{Type: plant.EventCount, TS: t0 + i*pace, Good: 1, Seq: i}
			e.ID = plant.EventID(&e)
			for range 1 + i%2 { // every other one twice
				if _, err := l.Event(&e); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
		l.Signal(t0 + 122*minuteMS)
		l.Advance(&cfg, emit)
		if total != float64(n) {
			t.Errorf("%s: %v units of %d", name, total, n)
		}
		if n > maxKept {
			e := plant.LineEvent{Type: plant.EventState, TS: t0 + 121*minuteMS, State: plant.StateExecute}
			if _, err := l.Event(&e); err != nil && !errors.Is(err, ErrFull) {
				t.Error(err)
			}
		}
	}
}
