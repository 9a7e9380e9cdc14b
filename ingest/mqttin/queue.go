package mqttin

import (
	"sync"
	"time"
)

// queue holds a client's groups of messages, in order of receipt, until they are
// acknowledged. The reading goroutine pushes, the acknowledging one takes.
type queue struct {
	limit int // messages

	mu       sync.Mutex // guards the rest
	changed  sync.Cond
	groups   []*group
	messages int
	closed   bool
}

func newQueue(limit int) *queue {
	q := &queue{limit: limit}
	q.changed.L = &q.mu
	return q
}

// push enters a group once there is room. When the queue was closed there is
// nobody to answer.
func (q *queue) push(g *group) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && q.messages > 0 && q.messages+len(g.messages) > q.limit {
		q.changed.Wait()
	}
	if q.closed {
		return
	}
	q.groups = append(q.groups, g)
	q.messages += len(g.messages)
	q.changed.Broadcast()
}

// head gives the oldest group, and waits for one; nil when the queue was closed.
func (q *queue) head() *group {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && len(q.groups) == 0 {
		q.changed.Wait()
	}
	if q.closed {
		return nil
	}
	return q.groups[0]
}

// pop drops the oldest group.
func (q *queue) pop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages -= len(q.groups[0].messages)
	q.groups[0] = nil
	if q.groups = q.groups[1:]; len(q.groups) == 0 {
		q.groups = nil
	}
	q.changed.Broadcast()
}

// drained returns once nothing waits any more, or the queue was closed.
func (q *queue) drained() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && q.messages > 0 {
		q.changed.Wait()
	}
}

// close lets everyone go.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}

// waiting says how many messages wait, and since when the oldest does.
func (q *queue) waiting() (messages int, since time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.groups) > 0 {
		since = q.groups[0].began
	}
	return q.messages, since
}
