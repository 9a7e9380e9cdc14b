package stream

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// queue holds what was polled for one slot and is not folded yet. The poll loop
// pushes, the slot's worker takes.
type queue struct {
	limit int // bytes; past it push asks for a pause

	mu      sync.Mutex // guards what follows
	parts   []fifo     // one an input
	bytes   int
	records int
	oldest  time.Time // when the oldest waiting record was pushed
	newest  time.Time
	paused  bool

	// wake is sent to (never blocking) by push and read by the worker.
	wake chan struct{}
}

// fifo is the waiting records of one input, as fetched.
type fifo struct {
	chunks [][]*kgo.Record
	next   int64 // offset after the last record ever pushed
	seen   bool
}

func newQueue(inputs, limit int) *queue {
	return &queue{limit: limit, parts: make([]fifo, inputs), wake: make(chan struct{}, 1)}
}

// push appends fetched records of an input and says whether the slot is to be
// paused now.
func (q *queue) push(input int, recs []*kgo.Record, now time.Time) (pause bool) {
	if len(recs) == 0 {
		return false
	}
	q.mu.Lock()
	f := &q.parts[input]
	f.chunks = append(f.chunks, recs)
	f.next, f.seen = recs[len(recs)-1].Offset+1, true
	if q.records == 0 {
		q.oldest = now
	}
	q.newest = now
	q.records += len(recs)
	q.bytes += recordBytes(recs)
	pause = !q.paused && q.bytes > q.limit
	q.paused = q.paused || pause
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return pause
}

// level is the state of a queue at one moment.
type level struct {
	records, bytes int
	oldest, newest time.Time
}

func (q *queue) level() level {
	q.mu.Lock()
	defer q.mu.Unlock()
	return level{q.records, q.bytes, q.oldest, q.newest}
}

// has reports whether everything of input below offset to has arrived. Offsets
// are dense but for what retention removed, so the record at to-1, or one
// behind it, proves it.
func (q *queue) has(input int, to int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.parts[input].seen && q.parts[input].next >= to
}

// bounds gives the offsets behind what waits: from[i] where input i is empty,
// and never more than max records or size bytes past from, so that one batch
// stays in bounds however much waits.
func (q *queue) bounds(from []int64, maxRecords, maxBytes int) []int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	to := make([]int64, len(from))
	copy(to, from)
	records, bytes := 0, 0
	for i := range q.parts {
		for _, chunk := range q.parts[i].chunks {
			if records >= maxRecords || bytes >= maxBytes {
				return to
			}
			n := min(len(chunk), maxRecords-records)
			records += n
			bytes += recordBytes(chunk[:n])
			to[i] = chunk[n-1].Offset + 1
		}
	}
	return to
}

// take removes and returns the records of input below to. It says whether the
// slot may be resumed.
func (q *queue) take(input int, to int64) (chunks [][]*kgo.Record, resume bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := &q.parts[input]
	for len(f.chunks) > 0 {
		chunk := f.chunks[0]
		n := 0
		for n < len(chunk) && chunk[n].Offset < to {
			n++
		}
		if n == 0 {
			break
		}
		chunks = append(chunks, chunk[:n])
		q.records -= n
		q.bytes -= recordBytes(chunk[:n])
		if n < len(chunk) {
			f.chunks[0] = chunk[n:]
			break
		}
		f.chunks[0] = nil
		f.chunks = f.chunks[1:]
	}
	if q.records > 0 {
		q.oldest = q.newest // a bound from above would need a time a chunk
	}
	resume = q.paused && q.bytes < q.limit/2
	if resume {
		q.paused = false
	}
	return chunks, resume
}

// recordBytes estimates the memory that records hold.
func recordBytes(recs []*kgo.Record) int {
	n := 0
	for _, r := range recs {
		n += len(r.Key) + len(r.Value) + recordOverhead
	}
	return n
}

// recordOverhead is about the size of a kgo.Record.
const recordOverhead = 200

// lift raises the limit for good when a batch from before is larger than it,
// and reports whether the slot was paused.
func (q *queue) lift() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.paused {
		return false
	}
	q.limit *= 2
	q.paused = q.bytes > q.limit
	return !q.paused
}
