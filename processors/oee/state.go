package oee

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/foodflow/foodflow/internal/plant"
)

// stateVersion is the first byte of a state. Version 1 had no late counts.
const stateVersion = 2

var errState = errors.New("malformed line state")

// AppendState appends the state of a line that has no news: after Advance.
func (l *Line) AppendState(b []byte) []byte {
	b = append(b, stateVersion, flag(l.started))
	for _, v := range []int64{l.watermark, l.first, l.closed, l.from} {
		b = binary.AppendVarint(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(l.states)))
	for i := range l.states {
		s := &l.states[i]
		b = append(append(binary.AppendVarint(b, s.ts), s.id[:]...), byte(s.state))
		b = appendText(appendText(b, s.reason), s.product)
	}
	b = binary.AppendUvarint(b, uint64(len(l.counts)))
	for i := range l.counts {
		c := &l.counts[i]
		b = append(binary.AppendVarint(b, c.ts), c.id[:]...)
		b = appendFloats(appendText(appendText(b, c.product), c.unit), c.good, c.scrap, c.rework)
	}
	b = binary.AppendUvarint(b, uint64(len(l.signs)))
	for _, s := range l.signs {
		b = binary.AppendVarint(binary.AppendVarint(b, s.first), s.last)
	}
	b = binary.AppendUvarint(b, uint64(len(l.out)))
	for i := range l.out {
		b = appendSent(b, &l.out[i])
	}
	b = binary.AppendUvarint(b, uint64(l.late.next))
	b = binary.AppendUvarint(b, uint64(len(l.late.ids)))
	for _, id := range l.late.ids {
		b = binary.LittleEndian.AppendUint64(b, id)
	}
	return b
}

func appendSent(b []byte, s *sent) []byte {
	f := &s.figure
	b = binary.AppendUvarint(b, uint64(s.revision))
	b = binary.AppendVarint(b, f.Minute)
	b = appendText(appendText(b, f.Product), f.Unit)
	for _, ms := range f.TimeMS {
		b = binary.AppendVarint(b, ms)
	}
	b = binary.AppendVarint(binary.AppendVarint(b, f.PlannedBusyMS), f.RunMS)
	b = binary.AppendUvarint(b, uint64(f.Policy))
	return appendFloats(b, f.IdealTotalMS, f.IdealGoodMS, f.Total, f.Good, f.Scrap, f.StartupScrap, f.Rework)
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFloats(b []byte, vs ...float64) []byte {
	for _, v := range vs {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// RestoreState reads what AppendState wrote and returns what follows it.
func (l *Line) RestoreState(src []byte) ([]byte, error) {
	if len(src) < 2 || src[0] == 0 || src[0] > stateVersion {
		return nil, errState
	}
	r := reader{b: src[2:]}
	n := Line{started: src[1] == 1}
	for _, p := range []*int64{&n.watermark, &n.first, &n.closed, &n.from} {
		*p = r.varint()
	}
	for range r.length() {
		s := change{ts: r.varint(), id: r.id(), state: plant.State(r.byte())}
		s.reason, s.product = r.text(), r.text()
		n.states = append(n.states, s)
	}
	for range r.length() {
		c := count{ts: r.varint(), id: r.id(), product: r.text(), unit: r.text()}
		c.good, c.scrap, c.rework = r.float(), r.float(), r.float()
		n.counts = append(n.counts, c)
	}
	for range r.length() {
		n.signs = append(n.signs, sign{r.varint(), r.varint()})
	}
	for range r.length() {
		n.out = append(n.out, r.sent())
	}
	if src[0] > 1 {
		n.late.next = int(min(r.uvarint(), maxLate-1))
		for range r.length() {
			n.late.ids = append(n.late.ids, math.Float64bits(r.float()))
		}
	}
	if r.bad || len(n.late.ids) > maxLate || n.late.next > 0 && len(n.late.ids) < maxLate {
		return nil, errState
	}
	n.late.until = n.watermark + 1
	*l = n
	return r.b, nil
}

// reader reads a state; after the first fault it yields zeros.
type reader struct {
	b   []byte
	bad bool
}

// take gives the next n bytes, nil when there are fewer.
func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// length reads a number of items, each at least one byte long.
func (r *reader) length() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) byte() byte {
	b := r.take(1)
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

func (r *reader) id() (id plant.ID) {
	copy(id[:], r.take(16))
	return id
}

func (r *reader) text() string { return string(r.take(r.length())) }

func (r *reader) float() float64 {
	b := r.take(8)
	if len(b) < 8 {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

func (r *reader) sent() sent {
	s := sent{revision: uint32(r.uvarint())}
	f := &s.figure
	f.Minute, f.Product, f.Unit = r.varint(), r.text(), r.text()
	for i := range f.TimeMS {
		f.TimeMS[i] = r.varint()
	}
	f.PlannedBusyMS, f.RunMS, f.Policy = r.varint(), r.varint(), uint32(r.uvarint())
	for _, p := range []*float64{&f.IdealTotalMS, &f.IdealGoodMS, &f.Total, &f.Good, &f.Scrap, &f.StartupScrap, &f.Rework} {
		*p = r.float()
	}
	return s
}
