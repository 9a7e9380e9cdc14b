package mqttin

import (
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A session of a client that only publishes has nothing in it but that it is
// there. That is worth keeping: many clients of MQTT 5 forget the messages that
// they have no PUBACK for unless the server still knows the session.

// session is a client id that is or was connected.
type session struct {
	owner *conn     // nil when it is away
	until time.Time // while it is away
}

// resume finds the session of a client that logs in, and says whether and how
// long it will be kept.
func (s *Server) resume(c *conn, l *login, pk packets.Packet) {
	keep := time.Duration(0)
	if l.version >= 5 {
		keep = time.Duration(pk.Properties.SessionExpiryInterval) * time.Second
	} else if !pk.Connect.Clean {
		keep = s.cfg.Session
		// Otherwise mochi would keep the client as well, with all its buffers.
		l.cl.Properties.Clean = true
	}
	l.session = min(keep, s.cfg.Session)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, known := s.sessions[l.cl.ID]
	l.resumed = known && !pk.Connect.Clean && (old.owner != nil || time.Now().Before(old.until))
	s.discard(l.cl.ID)
	if l.session > 0 {
		s.sessions[l.cl.ID] = session{owner: c}
	}
}

// suspend keeps the session of a client that goes, if it asked for it. s.mu is
// held.
func (s *Server) suspend(c *conn, l *login) {
	if now, ok := s.sessions[l.cl.ID]; !ok || now.owner != c {
		return // another connection has it
	}
	s.discard(l.cl.ID)
	if l.session <= 0 || s.cfg.Sessions == 0 {
		return
	}
	if s.away >= s.cfg.Sessions {
		for id, x := range s.sessions { // any of those that are away: its client begins anew
			if x.owner == nil {
				s.discard(id)
				break
			}
		}
	}
	s.sessions[l.cl.ID] = session{until: time.Now().Add(l.session)}
	s.away++
}

// discard forgets a session. s.mu is held.
func (s *Server) discard(id string) {
	if x, ok := s.sessions[id]; ok && x.owner == nil {
		s.away--
	}
	delete(s.sessions, id)
}

// expire forgets the sessions whose time is over.
func (s *Server) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, x := range s.sessions {
		if x.owner == nil && now.After(x.until) {
			s.discard(id)
		}
	}
}
