package oee

import (
	"errors"
	"slices"
	"sort"

	"github.com/foodflow/foodflow/internal/plant"
)

const (
	minuteMS = int64(60_000)
	// LatenessMS is how far the watermark must be past a minute to close it.
	LatenessMS = int64(5_000)
	// HorizonMS is how far behind the watermark a line's past is kept.
	HorizonMS = 120 * minuteMS
	// maxSilence bounds the minutes of silence that close at once, three days: a
	// line that comes back after months, or whose first sign is that old, is not
	// worth a part for each minute between.
	maxSilence = 3 * 24 * 60
	// maxKept bounds the events kept of one line: 2,000 a minute over the horizon.
	maxKept = 240_000
	// maxLate bounds the identities kept of counts that are not kept, or no more.
	maxLate = 16_384
	// LateRevision is the least revision of a part for a count that is not kept,
	// because it comes from before the horizon or the line sends too many. The
	// rest of it comes from the count's id, so such parts can be told apart.
	LateRevision = uint32(1) << 31
)

// ErrLate says that a state event is older than the horizon.
var ErrLate = errors.New("the state event is older than the line's horizon")

// ErrFull says that a line sends more state events than can be kept of it.
var ErrFull = errors.New("too many events of one line within the horizon")

// Line is the state of one line. The zero value is ready.
type Line struct {
	started   bool
	watermark int64    // newest time the line has shown
	first     int64    // minute of the oldest sign still within the horizon at its coming
	closed    int64    // minutes before it are closed
	from      int64    // start of the horizon; what is older is forgotten
	states    []change // by ts, then id
	counts    []count  // by ts, then id
	signs     []sign   // by minute
	out       []sent   // by minute, then product
	late      lateRing
}

// change is a state event.
type change struct {
	ts      int64
	id      plant.ID
	state   plant.State
	reason  string
	product string
}

// count is a count event.
type count struct {
	ts                  int64
	id                  plant.ID
	product, unit       string
	good, scrap, rework float64
}

// sign is the first and last sign of life within a minute.
type sign struct{ first, last int64 }

// sent is the sum of the parts of one minute and product.
type sent struct {
	revision uint32 // of the next part
	figure   plant.OEEPart
}

// Emit takes a part. Tenant and Line are the receiver's to set.
type Emit func(*plant.OEEPart)

// Event takes a line event. A copy of one within the horizon changes nothing and
// is reported as not fresh.
func (l *Line) Event(cfg *Config, e *plant.LineEvent, emit Emit) (fresh bool, err error) {
	l.start(e.TS)
	full := len(l.states)+len(l.counts) >= maxKept
	switch {
	case e.Type == plant.EventCount && (e.TS < l.from || l.late.has(e.ID) || full && !l.counted(e)):
		return l.lateCount(cfg, e, emit), nil
	case e.TS < l.from:
		return false, ErrLate
	case full && e.Type == plant.EventState:
		return false, ErrFull
	}
	lo, hi := e.TS, e.TS+1
	switch e.Type {
	case plant.EventState:
		i := sort.Search(len(l.states), func(i int) bool { return notBefore(l.states[i].ts, l.states[i].id, e) })
		if i < len(l.states) && l.states[i].id == e.ID && l.states[i].ts == e.TS {
			return false, nil
		}
		l.states = slices.Insert(l.states, i, change{e.TS, e.ID, e.State, e.Reason, e.Product})
		lo, hi = l.around(cfg, i)
	case plant.EventCount:
		i, copied := l.place(e)
		if copied {
			return false, nil
		}
		l.counts = slices.Insert(l.counts, i, count{e.TS, e.ID, e.Product, e.Unit, e.Good, e.Scrap, e.Rework})
	}
	l.send(cfg, lo, hi, emit)
	l.Signal(cfg, e.TS, emit)
	return true, nil
}

// place gives where a count goes, and whether it is there already.
func (l *Line) place(e *plant.LineEvent) (i int, copied bool) {
	i = sort.Search(len(l.counts), func(i int) bool { return notBefore(l.counts[i].ts, l.counts[i].id, e) })
	return i, i < len(l.counts) && l.counts[i].id == e.ID && l.counts[i].ts == e.TS
}

func (l *Line) counted(e *plant.LineEvent) bool {
	_, copied := l.place(e)
	return copied
}

func notBefore(ts int64, id plant.ID, e *plant.LineEvent) bool {
	if ts != e.TS {
		return ts > e.TS
	}
	return string(id[:]) >= string(e.ID[:])
}

// around gives the span that a change at index i can have altered: from the
// start of the stop it may have cut or joined to the end of the one behind it.
func (l *Line) around(cfg *Config, i int) (lo, hi int64) {
	lo, hi = l.states[i].ts, l.watermark
	if i > 0 {
		lo = min(lo, l.states[l.stopStart(cfg, i-1)].ts)
	}
	for j := i + 1; j < len(l.states); j++ {
		hi = l.states[j].ts
		if class(cfg, l.states[j].state, l.states[j].reason) != internalStop {
			break
		}
		hi = l.watermark
	}
	if l.states[i].product == "" {
		return lo, hi + 1
	}
	// A product holds until another is named.
	for j := i + 1; j < len(l.states); j++ {
		if l.states[j].product != "" {
			return lo, max(hi, l.states[j].ts) + 1
		}
	}
	return lo, l.watermark + 1
}

// stopStart gives the index of the first of the internal stops that follow one
// another up to index i; i itself when that is none.
func (l *Line) stopStart(cfg *Config, i int) int {
	for i > 0 && class(cfg, l.states[i].state, l.states[i].reason) == internalStop &&
		class(cfg, l.states[i-1].state, l.states[i-1].reason) == internalStop {
		i--
	}
	return i
}

// Signal takes a sign of life at ts, such as a reading of one of the line's
// sensors.
func (l *Line) Signal(cfg *Config, ts int64, emit Emit) {
	l.start(ts)
	if ts < l.from {
		return
	}
	m := floor(ts)
	i := sort.Search(len(l.signs), func(i int) bool { return floor(l.signs[i].first) >= m })
	if i < len(l.signs) && floor(l.signs[i].first) == m {
		s := &l.signs[i]
		if ts >= s.first && ts <= s.last {
			return
		}
		s.first, s.last = min(s.first, ts), max(s.last, ts)
	} else {
		l.signs = slices.Insert(l.signs, i, sign{ts, ts})
	}
	if m < l.first {
		old := l.first
		l.first = m
		l.send(cfg, m, min(old, l.closed), emit)
	}
	if ts >= l.closed {
		return
	}
	// A late sign can end a silence around it.
	lo, hi := ts, ts+cfg.SilenceMS
	if i > 0 {
		lo = l.signs[i-1].last
	}
	if i+1 < len(l.signs) {
		hi = l.signs[i+1].first
	}
	l.send(cfg, lo, hi+1, emit)
}

// Advance closes the minutes that the watermark has passed, sends their first
// parts, and forgets what is behind the horizon.
func (l *Line) Advance(cfg *Config, emit Emit) {
	end := floor(l.watermark - LatenessMS)
	if !l.started || end <= l.closed {
		return
	}
	lo := l.closed
	// A stop that is still open may have outgrown the limit since its first
	// minutes were sent.
	if n := len(l.states); n > 0 {
		lo = min(lo, l.states[l.stopStart(cfg, n-1)].ts)
	}
	left := int64(maxSilence)
	for l.closed < end {
		told, next := l.stretch(cfg, end, &left)
		l.closed = told
		l.send(cfg, lo, told, emit)
		if told < next { // the line begins anew, as one that was never seen
			l.closed, l.first, lo = next, next, next
		}
	}
	l.forget(cfg)
}

// stretch gives up to where minutes that are not closed yet are told, and where
// the line's next sign is, or the end: all between is passed over. left is how many
// more minutes of silence may be told.
func (l *Line) stretch(cfg *Config, end int64, left *int64) (told, next int64) {
	alive := cfg.SilenceMS/minuteMS + 1 // minutes without a sign that are no silence yet
	i := sort.Search(len(l.signs), func(i int) bool { return floor(l.signs[i].first) >= l.closed })
	for told = l.closed; told < end; i++ {
		next = end
		if i < len(l.signs) {
			next = min(floor(l.signs[i].first), end)
		}
		silent := max((next-told)/minuteMS-alive, 0)
		if silent > *left {
			told += (alive + *left) * minuteMS
			*left = 0
			return told, next
		}
		*left -= silent
		told = min(next+minuteMS, end)
	}
	return told, told
}

// start moves the watermark and the horizon.
func (l *Line) start(ts int64) {
	if !l.started {
		*l = Line{started: true, watermark: ts, first: floor(ts), closed: floor(ts), from: floor(ts) - HorizonMS}
	}
	l.watermark = max(l.watermark, ts)
	// Only closed minutes leave the horizon, so what is due is sent first.
	l.from = max(l.from, min(floor(l.watermark)-HorizonMS, l.closed))
}

// forget drops what no later event can need.
func (l *Line) forget(cfg *Config) {
	// The state that holds at the horizon stays, with the stop it belongs to.
	if i := sort.Search(len(l.states), func(i int) bool { return l.states[i].ts > l.from }) - 1; i > 0 {
		k := l.stopStart(cfg, i)
		l.states[k].product = l.product(k)
		l.states = slices.Delete(l.states, 0, k)
	}
	i := sort.Search(len(l.counts), func(i int) bool { return l.counts[i].ts >= l.from })
	for k := range l.counts[:i] {
		l.late.add(l.counts[k].id)
	}
	l.counts = slices.Delete(l.counts, 0, i)
	if i := sort.Search(len(l.signs), func(i int) bool { return l.signs[i].first >= l.from }) - 1; i > 0 {
		l.signs = slices.Delete(l.signs, 0, i) // the last one before the horizon stays
	}
	i = sort.Search(len(l.out), func(i int) bool { return l.out[i].figure.Minute >= l.from })
	l.out = slices.Delete(l.out, 0, i)
	l.first = max(l.first, l.from)
}

func floor(ts int64) int64 { return ts - ts%minuteMS }
