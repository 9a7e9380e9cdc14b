package anomaly

import (
	"encoding/binary"
	"errors"
	"math"
)

// stateVersion is the first byte of a state. Version 1 has no epoch.
const stateVersion = 2

// stateSize is the length of a state, epochSize how much of it version 1 lacks.
const (
	stateSize = 1 + 4 + 8 + 8*8 + 8 + 4 + 4 + 2 + 1 + 4 + 4 + numLimits*9 + epochSize
	epochSize = 8
)

var errState = errors.New("malformed detector state")

// Size is the memory a detector takes, in bytes.
func (d *Detector) Size() int { return 300 }

func (d *Detector) floats() [8]*float64 {
	return [...]*float64{&d.last, &d.fast, &d.slow, &d.fastSpread, &d.slowSpread, &d.threshold, &d.excess, &d.sq}
}

// AppendState appends the detector's state.
func (d *Detector) AppendState(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, stateVersion)
	b = le.AppendUint32(b, d.n)
	b = le.AppendUint64(b, uint64(d.lastTS))
	for _, p := range d.floats() {
		b = le.AppendUint64(b, math.Float64bits(*p))
	}
	b = le.AppendUint64(b, uint64(d.sinceTS))
	b = le.AppendUint32(b, math.Float32bits(d.cries))
	b = le.AppendUint32(b, math.Float32bits(d.peak))
	b = le.AppendUint16(b, d.quiet)
	b = append(b, flags(d.excursion, d.flatReported))
	b = le.AppendUint32(b, d.repeats)
	b = le.AppendUint32(b, d.longest)
	for _, s := range d.limits {
		b = append(b, flags(s.active, s.moving))
		b = le.AppendUint64(b, uint64(s.since))
	}
	return le.AppendUint64(b, uint64(d.epoch))
}

// RestoreState reads what AppendState wrote and returns what follows it.
func (d *Detector) RestoreState(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	if len(b) == 0 || b[0] == 0 || b[0] > stateVersion {
		return nil, errState
	}
	version, size := b[0], stateSize
	if version == 1 {
		size -= epochSize
	}
	if len(b) < size {
		return nil, errState
	}
	rest := b[size:]
	*d = Detector{n: le.Uint32(b[1:]), lastTS: int64(le.Uint64(b[5:]))}
	b = b[13:]
	for _, p := range d.floats() {
		*p = math.Float64frombits(le.Uint64(b))
		if math.IsNaN(*p) {
			return nil, errState
		}
		b = b[8:]
	}
	d.sinceTS = int64(le.Uint64(b))
	d.cries, d.peak = math.Float32frombits(le.Uint32(b[8:])), math.Float32frombits(le.Uint32(b[12:]))
	d.quiet = le.Uint16(b[16:])
	d.excursion, d.flatReported = b[18]&1 != 0, b[18]&2 != 0
	d.repeats, d.longest = le.Uint32(b[19:]), le.Uint32(b[23:])
	b = b[27:]
	for i := range d.limits {
		d.limits[i] = limitState{active: b[0]&1 != 0, moving: b[0]&2 != 0, since: int64(le.Uint64(b[1:]))}
		b = b[9:]
	}
	if version > 1 {
		d.epoch = int64(le.Uint64(b))
	}
	return rest, nil
}

func flags(a, b bool) (f byte) {
	if a {
		f |= 1
	}
	if b {
		f |= 2
	}
	return f
}
