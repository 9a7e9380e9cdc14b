package embedded

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// maxSessions bounds the connections that sessions keep between requests.
const maxSessions = 256

// pool lends connections. At most size are open; sessions keep theirs between
// requests.
type pool struct {
	dial func() (*conn, error)
	wait time.Duration // how long a request waits for a connection

	slots chan struct{} // one token an open connection may be made or used by

	mu       sync.Mutex // guards idle and sessions
	idle     []*conn
	sessions map[string]*session
}

// session is a connection that outlives its request.
type session struct {
	c       *conn
	busy    bool
	expires time.Time
}

func newPool(size int, wait time.Duration, dial func() (*conn, error)) *pool {
	return &pool{dial: dial, wait: wait, slots: make(chan struct{}, size), sessions: map[string]*session{}}
}

// slot waits for the right to run a statement.
func (p *pool) slot(ctx context.Context) error {
	timer := time.NewTimer(p.wait)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return &Exception{Code: codeTooMany, Text: fmt.Sprintf("Code: %d. DB::Exception: Too many simultaneous queries. Maximum: %d. (TOO_MANY_SIMULTANEOUS_QUERIES)", codeTooMany, cap(p.slots))}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// take lends a connection for one request.
func (p *pool) take(ctx context.Context) (*conn, error) {
	if err := p.slot(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	c, err := p.dial()
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

// put takes a connection back. One that can't be cleaned is closed.
func (p *pool) put(c *conn, clean bool) {
	if clean {
		p.mu.Lock()
		p.idle = append(p.idle, c)
		p.mu.Unlock()
	} else {
		c.close()
	}
	<-p.slots
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
		return nil, &Exception{Code: codeSessionLocked, Text: fmt.Sprintf("Code: %d. DB::Exception: Session %s is locked by a concurrent client. (SESSION_IS_LOCKED)", codeSessionLocked, id)}
	case s != nil:
		s.busy = true
		p.mu.Unlock()
		return s.c, nil
	case mustExist:
		p.mu.Unlock()
		return nil, &Exception{Code: codeNoSession, Text: fmt.Sprintf("Code: %d. DB::Exception: Session %s not found. (SESSION_NOT_FOUND)", codeNoSession, id)}
	case len(p.sessions) >= maxSessions:
		p.mu.Unlock()
		return nil, &Exception{Code: codeTooMany, Text: fmt.Sprintf("Code: %d. DB::Exception: Too many sessions. Maximum: %d. (TOO_MANY_SIMULTANEOUS_QUERIES)", codeTooMany, maxSessions)}
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
		s.c.close()
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
			s.c.close()
			delete(p.sessions, id)
		}
	}
}

// close ends all idle connections and sessions.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.close()
	}
	for _, s := range p.sessions {
		if s.c != nil {
			s.c.close()
		}
	}
	p.idle, p.sessions = nil, map[string]*session{}
}

// apply sets what a request asks for on a connection and gives the statement
// that takes the settings back. The database stays until a request wants
// another one.
func apply(c *conn, database string, settings []setting) (undo string, err error) {
	if database != "" && database != c.database {
		if _, _, err := c.exec("USE "+quoteName(database), "Null", nil); err != nil {
			return "", err
		}
		c.database = database
	}
	if len(settings) == 0 {
		return "", nil
	}
	set, back := make([]string, len(settings)), make([]string, len(settings))
	for i, s := range settings {
		set[i] = s.name + " = " + quoteText(s.value)
		back[i] = s.name + " = DEFAULT"
	}
	if _, _, err := c.exec("SET "+strings.Join(set, ", "), "Null", nil); err != nil {
		return "", err
	}
	return "SET " + strings.Join(back, ", "), nil
}

func quoteName(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}

func quoteText(s string) string {
	return "'" + strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(s) + "'"
}
