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
	pool  *chunkPool

	mu      sync.Mutex // guards what follows
	parts   []fifo     // one an input
	bytes   int
	records int
	newest  time.Time // when something was pushed last
	paused  bool

	// wake is sent to (never blocking) by push and read by the worker.
	wake chan struct{}
}

// fifo is the waiting records of one input, as fetched.
type fifo struct {
	chunks []*chunk
	first  int   // of the first chunk's records, the first that waits
	next   int64 // offset after the last record ever pushed, or where the first is to come from
	epoch  int32 // leader epoch of that record, -1: not known
	seen   bool
}

func newQueue(inputs, limit int, pool *chunkPool) *queue {
	q := &queue{limit: limit, pool: pool, parts: make([]fifo, inputs), wake: make(chan struct{}, 1)}
	for i := range q.parts {
		q.parts[i].epoch = -1
	}
	return q
}

// startAt says where the first records are to come from, before any is pushed.
func (q *queue) startAt(base []int64) {
	for i, at := range base {
		q.parts[i].next = at
	}
}

// next gives the offset before which nothing of an input can come.
func (q *queue) next(input int) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.parts[input].next
}

// epochs puts the leader epochs of the last records pushed into dst, where they
// are known.
func (q *queue) epochs(dst []int32) []int32 {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.parts {
		if i == len(dst) {
			dst = append(dst, -1)
		}
		dst[i] = max(dst[i], q.parts[i].epoch)
	}
	return dst
}

// push appends a copy of fetched records of an input and says whether the slot
// is to be paused now.
func (q *queue) push(input int, recs []*kgo.Record, now time.Time) (pause bool) {
	if len(recs) == 0 {
		return false
	}
	c := q.pool.get()
	c.pack(recs, now)
	q.mu.Lock()
	f := &q.parts[input]
	f.chunks = append(f.chunks, c)
	last := recs[len(recs)-1]
	f.next, f.epoch, f.seen = last.Offset+1, last.LeaderEpoch, true
	q.newest = now
	q.records += len(recs)
	q.bytes += c.bytes(0, len(c.recs))
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
	lv := level{records: q.records, bytes: q.bytes, newest: q.newest, oldest: q.newest}
	for i := range q.parts {
		if f := &q.parts[i]; len(f.chunks) > 0 && f.chunks[0].at.Before(lv.oldest) {
			lv.oldest = f.chunks[0].at
		}
	}
	return lv
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
		first := q.parts[i].first
		for _, c := range q.parts[i].chunks {
			if records >= maxRecords || bytes >= maxBytes {
				return to
			}
			n := min(len(c.recs)-first, maxRecords-records)
			records += n
			bytes += c.bytes(first, first+n)
			to[i] = c.recs[first+n-1].offset + 1
			first = 0
		}
	}
	return to
}

// view is a run of a chunk's records.
type view struct {
	c        *chunk
	from, to int
}

// take removes and returns the records of input below to. It says whether the
// slot may be resumed. A chunk whose last record is in a view is the taker's,
// to be put back into the pool when its records are done with.
func (q *queue) take(input int, to int64) (views []view, resume bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := &q.parts[input]
	for len(f.chunks) > 0 {
		c := f.chunks[0]
		n := c.below(to)
		if n <= f.first {
			break
		}
		views = append(views, view{c, f.first, n})
		q.records -= n - f.first
		q.bytes -= c.bytes(f.first, n)
		if f.first = n; n < len(c.recs) {
			break
		}
		f.chunks[0], f.first = nil, 0
		f.chunks = f.chunks[1:]
	}
	resume = q.paused && q.bytes < q.limit/2
	if resume {
		q.paused = false
	}
	return views, resume
}

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
