package embedded

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
)

// pool lends connections. At most size are open; sessions keep theirs between
// requests.
type pool struct {
	dial func() (*conn, error)
	wait time.Duration // how long a request waits for a connection

	fresh bool          // each request gets a new connection
	slots chan struct{} // one token an open connection may be made or used by

	mu       sync.Mutex // guards idle and sessions
	idle     []*conn
	sessions map[string]*session
}

func newPool(size int, fresh bool, wait time.Duration, dial func() (*conn, error)) *pool {
	return &pool{dial: dial, fresh: fresh, wait: wait, slots: make(chan struct{}, size), sessions: map[string]*session{}}
}

// slot waits for the right to run a statement.
func (p *pool) slot(ctx context.Context) error {
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return chdb.Raise(codeTooMany, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many simultaneous queries. Maximum: %d", cap(p.slots))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// take lends a connection for one request, the one on which the least has to be
// set for it.
func (p *pool) take(ctx context.Context, database string, settings map[string]string) (*conn, error) {
	if err := p.slot(ctx); err != nil {
		return nil, err
	}
	if c := p.nearest(database, settings); c != nil {
		return c, nil
	}
	c, err := p.dial()
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

func (p *pool) nearest(database string, settings map[string]string) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	best, least := -1, math.MaxInt
	for i, c := range p.idle {
		if d := c.distance(database, settings); d < least {
			best, least = i, d
		}
	}
	if best < 0 {
		return nil
	}
	c := p.idle[best]
	p.idle = slices.Delete(p.idle, best, best+1)
	return c
}

// put takes a connection back. One that isn't clean is closed.
func (p *pool) put(c *conn, clean bool) {
	if clean && !p.fresh {
		p.mu.Lock()
		p.idle = append(p.idle, c)
		p.mu.Unlock()
	} else {
		c.Close()
	}
	<-p.slots
}

// close ends all idle connections and sessions.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.Close()
	}
	for _, s := range p.sessions {
		if s.c != nil {
			s.c.Close()
		}
	}
	p.idle, p.sessions = nil, map[string]*session{}
}
