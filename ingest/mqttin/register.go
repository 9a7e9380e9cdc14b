package mqttin

import (
	"maps"
	"slices"
	"time"
)

// admit enters a socket; false when the door closes. Past so many strangers the
// oldest has to go: who has a key shows it within a moment, so that a crowd of
// silent ones keeps nobody out.
func (s *Server) admit(c *conn) bool {
	oldest, ok := s.enlist(c)
	if oldest != nil {
		s.m.closed.WithLabelValues(closedFull).Inc()
		oldest.Close()
	}
	return ok
}

// enlist enters a socket, and gives the one that must go for it.
func (s *Server) enlist(c *conn) (oldest *conn, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return nil, false
	}
	if len(s.strange) >= s.cfg.Pending {
		for x := range s.strange {
			if oldest == nil || x.loginBy.Before(oldest.loginBy) {
				oldest = x
			}
		}
		delete(s.strange, oldest)
	}
	s.conns[c], s.strange[c] = struct{}{}, struct{}{}
	s.running.Add(1)
	return oldest, true
}

// remove forgets a socket.
func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	delete(s.strange, c)
}

// enter makes a socket a client's; false when its tenant has too many.
func (s *Server) enter(c *conn, l *login) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := max(1, int(float64(s.cfg.Clients)*s.cfg.TenantShare))
	if s.tenants[l.who.Tenant] >= most {
		return false
	}
	s.tenants[l.who.Tenant]++
	s.logins++
	delete(s.strange, c)
	c.login.Store(l)
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		c.acknowledge(l)
	}()
	return true
}

// forget is the end of a client.
func (s *Server) forget(c *conn, l *login) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins--
	if s.tenants[l.who.Tenant]--; s.tenants[l.who.Tenant] == 0 {
		delete(s.tenants, l.who.Tenant)
	}
	s.suspend(c, l)
}

// end lets nobody in any more and gives those who are.
func (s *Server) end() []*conn {
	s.mu.Lock()
	s.ending = true
	s.mu.Unlock()
	return s.all()
}

// cut closes every socket.
func (s *Server) cut() {
	for _, c := range s.all() {
		c.Close()
	}
}

func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.conns))
}

func (s *Server) sockets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *Server) loggedIn() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// inFlight says how many messages wait for Kafka, and since when the oldest
// does.
func (s *Server) inFlight() (messages int, oldest time.Time) {
	for _, c := range s.all() {
		l := c.login.Load()
		if l == nil {
			continue
		}
		n, since := l.queue.waiting()
		messages += n
		if n > 0 && (oldest.IsZero() || since.Before(oldest)) {
			oldest = since
		}
	}
	return messages, oldest
}
