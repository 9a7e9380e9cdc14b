package embedded

import (
	"context"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
)

// maxSessions bounds the connections that sessions keep between requests.
const maxSessions = 256

// session is a connection that outlives its request.
type session struct {
	c       *conn
	busy    bool
	expires time.Time
}

// enter lends the connection of a session, making it when it is new. Like any
// other request it counts against the statements that run at once.
func (p *pool) enter(ctx context.Context, id string, mustExist bool) (*conn, error) {
	if err := p.slot(ctx); err != nil {
		return nil, err
	}
	c, err := p.session(id, mustExist)
	if err != nil {
		<-p.slots
	}
	return c, err
}

func (p *pool) session(id string, mustExist bool) (*conn, error) {
	p.expire(time.Now())
	p.mu.Lock()
	s := p.sessions[id]
	switch {
	case s != nil && s.busy:
		p.mu.Unlock()
		return nil, chdb.Raise(codeSessionLocked, "SESSION_IS_LOCKED", "Session %s is locked by a concurrent client", id)
	case s != nil:
		s.busy = true
		p.mu.Unlock()
		return s.c, nil
	case mustExist:
		p.mu.Unlock()
		return nil, chdb.Raise(codeNoSession, "SESSION_NOT_FOUND", "Session %s not found", id)
	case len(p.sessions) >= maxSessions:
		p.mu.Unlock()
		return nil, chdb.Raise(codeTooMany, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many sessions. Maximum: %d", maxSessions)
	}
	s = &session{busy: true}
	p.sessions[id] = s
	p.mu.Unlock()
	// A session has a connection of its own beside the pool's: sessions that
	// wait for their next request must not use up the pool.
	c, err := p.dial()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		delete(p.sessions, id)
		return nil, err
	}
	s.c = c
	return c, nil
}

// leave ends a session's request. Its connection is closed when its time is
// over, whether or not another request comes.
func (p *pool) leave(id string, timeout time.Duration, end bool) {
	defer func() { <-p.slots }()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sessions[id]
	if s == nil {
		return
	}
	s.busy, s.expires = false, time.Now().Add(timeout)
	if end {
		s.c.Close()
		delete(p.sessions, id)
		return
	}
	time.AfterFunc(timeout+time.Second, func() { p.expire(time.Now()) })
}

// expire closes sessions whose time is over.
func (p *pool) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, s := range p.sessions {
		if !s.busy && now.After(s.expires) {
			s.c.Close()
			delete(p.sessions, id)
		}
	}
}
