package window

import (
	"encoding/binary"
	"math"

	"github.com/foodflow/foodflow/internal/plant"
)

// MinuteMS is the length of a minute.
const MinuteMS = 60_000

// Minute is the sum of a sensor's readings of the minute of its last one.
type Minute struct{ open plant.Minute }

// Add takes a reading. When it lies in another minute than the last one did,
// what was summed up so far is handed out and summing begins anew.
func (w *Minute) Add(ts int64, value float64, valid bool) (done plant.Minute, handOut bool) {
	m := &w.open
	start := ts - ts%MinuteMS
	if m.Count > 0 && m.Start != start {
		done, handOut = *m, true
		m.Count = 0
	}
	if m.Count == 0 {
		*m = plant.Minute{Start: start, Min: math.Inf(1), Max: math.Inf(-1), FirstTS: math.MaxInt64, LastTS: math.MinInt64}
	}
	m.Count++
	if !valid {
		return done, handOut
	}
	m.Valid++
	m.Sum += value
	m.Min, m.Max = math.Min(m.Min, value), math.Max(m.Max, value)
	// Of two readings at the same time the smaller value is first and the larger
	// last, whatever their order.
	if ts < m.FirstTS || ts == m.FirstTS && value < m.First {
		m.FirstTS, m.First = ts, value
	}
	if ts > m.LastTS || ts == m.LastTS && value > m.Last {
		m.LastTS, m.Last = ts, value
	}
	return done, handOut
}

// Take hands out what was summed up, if anything, and empties the sum.
func (w *Minute) Take() (plant.Minute, bool) {
	done := w.open
	w.open.Count = 0
	return done, done.Count > 0
}

// Open says that there is something to hand out.
func (w *Minute) Open() bool { return w.open.Count > 0 }

// OpenAt says that there is something to hand out, of a minute that is not over
// at ts.
func (w *Minute) OpenAt(ts int64) bool { return w.open.Count > 0 && w.open.Start+MinuteMS > ts }

// AppendState appends the open sum.
func (w *Minute) AppendState(b []byte) []byte {
	m := &w.open
	b = binary.AppendUvarint(b, uint64(m.Count))
	if m.Count == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(m.Valid))
	for _, v := range [...]int64{m.Start, m.FirstTS, m.LastTS} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	for _, v := range [...]float64{m.Sum, m.Min, m.Max, m.First, m.Last} {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// RestoreState reads what AppendState wrote and returns what follows it.
func (w *Minute) RestoreState(b []byte) ([]byte, error) {
	w.open = plant.Minute{}
	m := &w.open
	count, n := binary.Uvarint(b)
	if n <= 0 || count > math.MaxUint32 {
		return nil, errState
	}
	if b = b[n:]; count == 0 {
		return b, nil
	}
	valid, n := binary.Uvarint(b)
	if n <= 0 || valid > count || len(b) < n+64 {
		return nil, errState
	}
	b = b[n:]
	m.Count, m.Valid = uint32(count), uint32(valid)
	for i, p := range [...]*int64{&m.Start, &m.FirstTS, &m.LastTS} {
		*p = int64(binary.LittleEndian.Uint64(b[8*i:]))
	}
	for i, p := range [...]*float64{&m.Sum, &m.Min, &m.Max, &m.First, &m.Last} {
		*p = math.Float64frombits(binary.LittleEndian.Uint64(b[24+8*i:]))
	}
	return b[64:], nil
}
