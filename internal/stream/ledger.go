package stream

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoSnapshot says that a snapshot is not in the store (any more).
var ErrNoSnapshot = errors.New("no such snapshot")

// errLedger says that commit metadata is not a ledger of ours.
var errLedger = errors.New("commit metadata is no ledger")

// ledgerPrefix names the version of the encoding.
const ledgerPrefix = "ff1:"

// maxLedger is the encoded length at which a snapshot is forced. Kafka refuses
// metadata past 4,096 bytes (offset.metadata.max.bytes).
const maxLedger = 3000

// ledger is what a slot's commit metadata says: where recovery starts, how the
// records since were batched, and which batch is on its way. It is a whole by
// itself: it names the offsets of all inputs, so that if the commits of two
// inputs ever differ, the one with the higher seq is the truth.
type ledger struct {
	seq        uint64 // counts the commits of the slot
	generation uint64
	base       []int64   // offsets that snap covers, or where the job began
	snap       Ref       // zero: empty state at base
	journal    [][]int64 // upper bounds of the batches since base, oldest first
	pending    []int64   // upper bounds of the batch being flushed, nil when none
}

// committed gives the offsets up to which outputs are durable.
func (l *ledger) committed() []int64 {
	if n := len(l.journal); n > 0 {
		return l.journal[n-1]
	}
	return l.base
}

// rebase makes ref, which covers the offsets in at, the start of recovery, and
// forgets the batches before it.
func (l *ledger) rebase(ref Ref, at []int64) {
	i := slices.IndexFunc(l.journal, func(b []int64) bool { return slices.Equal(b, at) })
	l.journal = slices.Clone(l.journal[i+1:]) // at is base itself when i is -1
	l.base, l.snap = slices.Clone(at), ref
}

// encode gives the metadata string. Offsets are differences to the batch
// before, so a batch costs a few bytes.
func (l *ledger) encode() string {
	b := binary.AppendUvarint(nil, l.seq)
	b = binary.AppendUvarint(b, l.generation)
	b = binary.AppendUvarint(b, uint64(len(l.base)))
	for _, o := range l.base {
		b = binary.AppendUvarint(b, uint64(o))
	}
	b = binary.AppendUvarint(b, uint64(l.snap.Start))
	b = binary.AppendUvarint(b, uint64(l.snap.End))
	b = binary.AppendUvarint(b, uint64(len(l.journal)))
	prev := l.base
	for _, bounds := range l.journal {
		b = appendDelta(b, prev, bounds)
		prev = bounds
	}
	if l.pending == nil {
		b = append(b, 0)
	} else {
		b = appendDelta(append(b, 1), prev, l.pending)
	}
	return ledgerPrefix + base64.RawStdEncoding.EncodeToString(b)
}

func appendDelta(b []byte, prev, next []int64) []byte {
	for i := range next {
		b = binary.AppendUvarint(b, uint64(next[i]-prev[i]))
	}
	return b
}

// decodeLedger reads a metadata string for a slot of n inputs.
func decodeLedger(s string, n int) (*ledger, error) {
	rest, ok := strings.CutPrefix(s, ledgerPrefix)
	if !ok || len(s) > 4096 {
		return nil, errLedger
	}
	raw, err := base64.RawStdEncoding.DecodeString(rest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLedger, err)
	}
	r := ledgerReader{b: raw}
	l := &ledger{seq: r.uvarint(), generation: r.uvarint()}
	if r.uvarint() != uint64(n) {
		return nil, fmt.Errorf("%w: other number of inputs", errLedger)
	}
	l.base = r.bounds(make([]int64, n))
	l.snap = Ref{Start: r.offset(), End: r.offset()}
	prev := l.base
	for count := r.uvarint(); count > 0 && !r.bad; count-- {
		prev = r.bounds(prev)
		l.journal = append(l.journal, prev)
	}
	if r.uvarint() == 1 {
		l.pending = r.bounds(prev)
	}
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("%w: malformed", errLedger)
	}
	return l, nil
}

type ledgerReader struct {
	b   []byte
	bad bool
}

func (r *ledgerReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *ledgerReader) offset() int64 {
	v := int64(r.uvarint())
	r.bad = r.bad || v < 0
	return v
}

// bounds reads one difference per input to prev.
func (r *ledgerReader) bounds(prev []int64) []int64 {
	out := make([]int64, len(prev))
	for i := range out {
		out[i] = prev[i] + r.offset()
		r.bad = r.bad || out[i] < prev[i]
	}
	return out
}
