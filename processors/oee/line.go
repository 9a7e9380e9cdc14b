package oee

import (
	"bytes"
	"cmp"
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

	news  news               // what came since the last Advance
	index []place            // of states, while Advance works
	dirty map[int64]struct{} // closed minutes to be computed anew, likewise
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

// Event takes in a line event, for the next Advance. A copy of one within the
// horizon changes nothing and is reported as not fresh.
func (l *Line) Event(e *plant.LineEvent) (fresh bool, err error) {
	l.start(e.TS)
	full := len(l.states)+len(l.counts)+len(l.news.states)+len(l.news.counts) >= maxKept
	switch {
	case l.has(e, full):
		return false, nil
	case e.Type == plant.EventState && e.TS < l.from:
		return false, ErrLate
	case e.Type == plant.EventState && full:
		return false, ErrFull
	case e.Type == plant.EventState:
		l.news.states = append(l.news.states, change{e.TS, e.ID, e.State, e.Reason, e.Product})
	default:
		c := count{e.TS, e.ID, e.Product, e.Unit, e.Good, e.Scrap, e.Rework}
		if e.TS < l.from || full {
			l.news.late = append(l.news.late, c)
			l.late.add(e.ID)
			if e.TS >= l.from {
				l.late.until = max(l.late.until, e.TS+1)
			}
		} else {
			l.news.counts = append(l.news.counts, c)
		}
	}
	l.news.note(e)
	l.Signal(e.TS)
	return true, nil
}

// has says whether an event is known.
func (l *Line) has(e *plant.LineEvent, full bool) bool {
	if l.news.has(e) {
		return true
	}
	if e.Type == plant.EventState {
		_, found := slices.BinarySearchFunc(l.states, e, func(c change, e *plant.LineEvent) int { return compare(c.ts, &c.id, e.TS, &e.ID) })
		return found
	}
	_, found := slices.BinarySearchFunc(l.counts, e, func(c count, e *plant.LineEvent) int { return compare(c.ts, &c.id, e.TS, &e.ID) })
	return found || (full || e.TS < max(l.from, l.late.until)) && l.late.has(e.ID)
}

// compare orders by time, then by id.
func compare(ts int64, id *plant.ID, ts2 int64, id2 *plant.ID) int {
	if ts != ts2 {
		return cmp.Compare(ts, ts2)
	}
	return bytes.Compare(id[:], id2[:])
}

// Signal takes in a sign of life at ts, such as a reading of one of the line's
// sensors, for the next Advance.
func (l *Line) Signal(ts int64) {
	l.start(ts)
	if ts >= l.from {
		l.news.sign(ts)
	}
}

// start begins with a line's first sign, and moves the watermark.
func (l *Line) start(ts int64) {
	if !l.started {
		*l = Line{started: true, watermark: ts, first: floor(ts), closed: floor(ts), from: floor(ts) - HorizonMS}
	}
	l.watermark = max(l.watermark, ts)
}

// Advance works in what has come since it was called last, and sends the closed
// minutes that this changes; then it closes the minutes that the watermark has
// passed, sends their first parts, and forgets what is behind the horizon. However
// much has come, each minute is computed once.
func (l *Line) Advance(cfg *Config, emit Emit) {
	if !l.started {
		return
	}
	l.takeIn(cfg)
	l.sendDirty(cfg, emit)
	l.sendLate(cfg, emit)
	l.close(cfg, emit)
	l.news.clear()
}

func (l *Line) close(cfg *Config, emit Emit) {
	end := floor(l.watermark - LatenessMS)
	if end <= l.closed {
		return
	}
	left := int64(maxSilence)
	for l.closed < end {
		from := l.closed
		told, next := l.stretch(cfg, end, &left)
		l.closed = told
		for m := from; m < told; m += minuteMS {
			l.sendMinute(cfg, m, emit)
		}
		if told < next { // the line begins anew, as one that was never seen
			l.closed, l.first = next, next
		}
	}
	// Only closed minutes leave the horizon.
	l.from = max(l.from, min(floor(l.watermark)-HorizonMS, l.closed))
	l.forget()
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

// forget drops what no later event can need.
func (l *Line) forget() {
	// The state that holds at the horizon stays, with the stop it belongs to.
	if i := sort.Search(len(l.states), func(i int) bool { return l.states[i].ts > l.from }) - 1; i > 0 {
		k := l.index[i].begin
		l.states[k].product = l.index[k].product
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
