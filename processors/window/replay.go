package window

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Verdict says what a reading is to the window.
type Verdict uint8

// The verdicts.
const (
	New     Verdict = iota
	Copy            // the same reading came before
	Unknown         // older than all the window remembers: taken for new
)

// Window sizes in readings, powers of two, and the parts of a ring whose age is
// known.
const (
	minCapacity = 32
	maxCapacity = 8192
	parts       = 16
)

// Replay is the anti-replay window of one sensor. It remembers its last 32
// readings, and more, up to 8192, while those span less than the horizon asked
// for. A copy that comes within them is found; a copy that comes later counts
// as new. Two different readings are taken for copies only if a
// 64-bit hash of time and number (or value) collides and the later one is out
// of order. The zero value is ready.
type Replay struct {
	newest int64        // largest ts seen
	marks  [parts]int64 // newest when a part of the ring was last written to
	ring   []uint64     // identities; len is a power of two once used
	next   uint32       // where the next goes
	count  uint32       // how many are there
	floor  int64        // ts below which the window has forgotten readings
}

// See takes a reading's identity (plant.Reading.Identity) and judges it. A
// reading newer than all before it is judged without a search. horizonMS is the
// device's time that the window should span; it may differ from call to call.
func (w *Replay) See(ts int64, word uint64, horizonMS int64) Verdict {
	id := mix(uint64(ts)*0x9e3779b97f4a7c15 ^ mix(word))
	if w.count == 0 {
		w.ring = make([]uint64, minCapacity)
		w.newest, w.floor = ts, math.MinInt64
		w.add(id, horizonMS)
		return New
	}
	if ts > w.newest {
		w.newest = ts
		w.add(id, horizonMS)
		return New
	}
	for _, have := range w.ring[:min(int(w.count), len(w.ring))] {
		if have == id {
			return Copy
		}
	}
	w.add(id, horizonMS)
	if ts <= w.floor {
		return Unknown
	}
	return New
}

// add enters an identity, in place of the oldest or in a larger ring. A part of
// the ring is written over once the last identity in it is past the horizon.
func (w *Replay) add(id uint64, horizonMS int64) {
	if int(w.next) == len(w.ring) {
		w.next = 0
	}
	part := int(w.next) / (len(w.ring) / parts)
	if int(w.count) == len(w.ring) && int(w.next)%(len(w.ring)/parts) == 0 {
		if w.newest-w.marks[part] < horizonMS && len(w.ring) < maxCapacity {
			w.grow()
			part = parts / 2
		} else {
			w.floor = max(w.floor, w.marks[part])
		}
	}
	w.ring[w.next], w.marks[part] = id, w.newest
	w.next++
	w.count = max(w.count, w.next)
}

// grow doubles a full ring that stands at the start of a part, the oldest first.
func (w *Replay) grow() {
	old, oldest := w.ring, int(w.next)
	w.ring = append(append(make([]uint64, 0, 2*len(old)), old[oldest:]...), old[:oldest]...)[:2*len(old)]
	w.next = uint32(len(old))
	first, marks := oldest/(len(old)/parts), w.marks
	for i := range parts / 2 { // two parts of the old ring are one of the new
		w.marks[i] = marks[(first+2*i+1)%parts]
	}
}

// mix is the finaliser of SplitMix64: a bijection whose every output bit
// depends on every input bit.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// Size is the memory the window takes, in bytes.
func (w *Replay) Size() int { return 56 + 8*(parts+len(w.ring)) }

// AppendState appends the window's state.
func (w *Replay) AppendState(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(w.count))
	if w.count == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(w.next))
	dst = binary.AppendUvarint(dst, uint64(len(w.ring)))
	for _, ts := range append([]int64{w.newest, w.floor}, w.marks[:]...) {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(ts))
	}
	for _, id := range w.ring[:w.count] {
		dst = binary.LittleEndian.AppendUint64(dst, id)
	}
	return dst
}

var errState = errors.New("malformed replay window state")

// StateVersion is that of AppendState. Version 1 has no marks, but the largest
// time when the ring was last at its start.
const StateVersion = 2

// RestoreState reads what AppendState of a version wrote and returns what follows
// it.
func (w *Replay) RestoreState(src []byte, version int) ([]byte, error) {
	var head [3]uint64
	for i := range head {
		v, n := binary.Uvarint(src)
		if n <= 0 {
			return nil, errState
		}
		head[i], src = v, src[n:]
		if i == 0 && v == 0 {
			*w = Replay{}
			return src, nil
		}
	}
	count, next, size := head[0], head[1], head[2]
	times := 2 + parts
	if version == 1 {
		times = 3
	}
	if size < minCapacity || size > maxCapacity || size&(size-1) != 0 || count > size || next > count || next == 0 || uint64(len(src)) < uint64(8*times)+8*count {
		return nil, fmt.Errorf("%w: %d of %d", errState, count, size)
	}
	*w = Replay{count: uint32(count), next: uint32(next), ring: make([]uint64, size)}
	at := func(i int) int64 { return int64(binary.LittleEndian.Uint64(src[8*i:])) }
	w.newest, w.floor = at(0), at(1)
	for i := range w.marks {
		if version == 1 {
			w.floor, w.marks[i] = at(2), w.newest
		} else {
			w.marks[i] = at(2 + i)
		}
	}
	src = src[8*times:]
	for i := range count {
		w.ring[i] = binary.LittleEndian.Uint64(src[8*i:])
	}
	return src[8*count:], nil
}
