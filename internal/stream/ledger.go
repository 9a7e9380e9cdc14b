package stream

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ErrNoSnapshot says that a snapshot is not in the store (any more).
var ErrNoSnapshot = errors.New("no such snapshot")

// errLedger says that commit metadata is not a ledger of ours.
var errLedger = errors.New("commit metadata is no ledger")

// errNewer says that a ledger is of a version that this program doesn't know.
// Its pending batch may be stored, and would be stored again in other bounds.
var errNewer = errors.New("the slot was processed by a newer foodflow, whose commits this one can't read; go on with that one")

// The versions of the encoding, by prefix. The first had no dead records, the
// second always some; neither said which topics the offsets are of.
const (
	ledgerMark   = "ff"
	ledgerV1     = "ff1:"
	ledgerV2     = "ff2:"
	ledgerPrefix = "ff3:"
)

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
	topics     []uint64  // topicHash of each input; 0: not known
	epochs     []int32   // a leader epoch of each input no older than that of the last record of pending; -1: not known
	base       []int64   // offsets that snap covers, or where the job began
	snap       Ref       // zero: empty state at base
	journal    [][]int64 // upper bounds of the batches since base, oldest first
	pending    []int64   // upper bounds of the batch being flushed, nil when none
	// dead are the records of the journal's batches that were set aside, by input,
	// oldest first; nil when none. What refuses a record can be mended: the next
	// owner must not fold what it finds good now, since it would take for a copy
	// what comes when the dead letter is replayed.
	dead [][]span
}

// span is [from, to) of an input.
type span struct{ from, to int64 }

// topicHash is what a ledger knows a topic by: 0 where Kafka has no topic ids.
func topicHash(id [16]byte) uint64 {
	if id == [16]byte{} {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write(id[:])
	return h.Sum64()
}

// topic gives the hash of an input's topic, epoch the leader epoch it was read
// under.
func (l *ledger) topic(input int) uint64 {
	if input < len(l.topics) {
		return l.topics[input]
	}
	return 0
}

func (l *ledger) epoch(input int) int32 {
	if input < len(l.epochs) {
		return l.epochs[input]
	}
	return -1
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
	any := false
	for i, spans := range l.dead {
		spans = slices.DeleteFunc(spans, func(s span) bool { return s.to <= at[i] })
		if len(spans) > 0 {
			spans[0].from = max(spans[0].from, at[i])
			any = true
		}
		l.dead[i] = spans
	}
	if !any {
		l.dead = nil
	}
}

// bury enters dead records, which must lie behind those that are there.
func (l *ledger) bury(dead []Dead) {
	if len(dead) > 0 && l.dead == nil {
		l.dead = make([][]span, len(l.base))
	}
	for i := range dead {
		in, at := dead[i].Record.Input, dead[i].Record.Offset
		if n := len(l.dead[in]); n > 0 && l.dead[in][n-1].to == at {
			l.dead[in][n-1].to++
			continue
		}
		l.dead[in] = append(l.dead[in], span{at, at + 1})
	}
}

// spans is how many spans bury makes of dead records at most.
func spans(dead []Dead) (n int) {
	for i := range dead {
		if i == 0 || dead[i].Record.Input != dead[i-1].Record.Input || dead[i].Record.Offset != dead[i-1].Record.Offset+1 {
			n++
		}
	}
	return n
}

// isDead says whether a record of the journal's batches was set aside.
func (l *ledger) isDead(input int, offset int64) bool {
	if l.dead == nil {
		return false
	}
	_, found := slices.BinarySearchFunc(l.dead[input], offset, func(s span, at int64) int {
		switch {
		case s.to <= at:
			return -1
		case s.from > at:
			return 1
		}
		return 0
	})
	return found
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
	if l.dead == nil {
		b = append(b, 0)
	} else {
		b = l.appendDead(append(b, 1))
	}
	for i := range l.base {
		b = binary.BigEndian.AppendUint64(b, l.topic(i))
		b = binary.AppendUvarint(b, uint64(l.epoch(i)+1))
	}
	return ledgerPrefix + base64.RawStdEncoding.EncodeToString(b)
}

func (l *ledger) appendDead(b []byte) []byte {
	for i, spans := range l.dead {
		b = binary.AppendUvarint(b, uint64(len(spans)))
		at := l.base[i]
		for _, s := range spans {
			b = binary.AppendUvarint(b, uint64(s.from-at))
			b = binary.AppendUvarint(b, uint64(s.to-s.from))
			at = s.to
		}
	}
	return b
}

func appendDelta(b []byte, prev, next []int64) []byte {
	for i := range next {
		b = binary.AppendUvarint(b, uint64(next[i]-prev[i]))
	}
	return b
}

// decodeLedger reads a metadata string for a slot of n inputs.
func decodeLedger(s string, n int) (*ledger, error) {
	version, rest, ok := knownVersion(s)
	if !ok && newer(s) {
		return nil, errNewer
	}
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
	if version == ledgerV2 || version == ledgerPrefix && r.uvarint() == 1 {
		l.dead = r.dead(l.base)
	}
	l.topics, l.epochs = make([]uint64, n), make([]int32, n)
	for i := range n {
		l.epochs[i] = -1
		if version == ledgerPrefix {
			l.topics[i], l.epochs[i] = r.hash(), r.epoch()
		}
	}
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("%w: malformed", errLedger)
	}
	return l, nil
}

// knownVersion parts a ledger's prefix from what follows it.
func knownVersion(s string) (version, rest string, ok bool) {
	for _, version := range []string{ledgerV1, ledgerV2, ledgerPrefix} {
		if rest, ok := strings.CutPrefix(s, version); ok {
			return version, rest, true
		}
	}
	return "", "", false
}

// newer says whether metadata has the mark of a version that is not known here.
func newer(s string) bool {
	version, _, ok := strings.Cut(strings.TrimPrefix(s, ledgerMark), ":")
	if !ok || !strings.HasPrefix(s, ledgerMark) {
		return false
	}
	n, err := strconv.ParseUint(version, 10, 32)
	return err == nil && n > 3
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

// dead reads the spans of each input. One at least has some, none is empty, and
// they don't touch: each ledger has one form.
func (r *ledgerReader) dead(base []int64) [][]span {
	out, total := make([][]span, len(base)), 0
	for i, at := range base {
		for count := r.uvarint(); count > 0 && !r.bad; count-- {
			s := span{from: at + r.offset()}
			s.to = s.from + r.offset()
			r.bad = r.bad || s.from < at || s.to <= s.from || len(out[i]) > 0 && s.from == at
			out[i], at = append(out[i], s), s.to
			total++
		}
	}
	r.bad = r.bad || total == 0
	return out
}

func (r *ledgerReader) hash() uint64 {
	if len(r.b) < 8 {
		r.bad, r.b = true, nil
		return 0
	}
	v := binary.BigEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *ledgerReader) epoch() int32 {
	v := r.uvarint()
	r.bad = r.bad || v > math.MaxInt32
	return int32(v) - 1
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
