package mqttin

import (
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
)

// listener accepts for mochi. Its own ends with the first error of Accept, such
// as too many open files, accepts without bound, and leaves a panic in one
// connection to end the process.
type listener struct {
	net.Listener
	s *Server
}

// Init has nothing to open.
func (l *listener) Init(*slog.Logger) error { return nil }

// ID names the listener.
func (l *listener) ID() string { return "mqtt" }

// Address is where it listens.
func (l *listener) Address() string { return l.Addr().String() }

// Protocol is its network.
func (l *listener) Protocol() string { return l.Addr().Network() }

// Close stops accepting. The clients are the server's to end.
func (l *listener) Close(listeners.CloseFn) { l.Listener.Close() }

// Serve accepts until the listener is closed.
func (l *listener) Serve(establish listeners.EstablishFn) {
	pause := time.Millisecond
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			l.s.logger.Error("accepting MQTT connections", "error", err)
			time.Sleep(pause)
			pause = min(2*pause, time.Second)
			continue
		}
		pause = time.Millisecond
		own := newConn(l.s, c)
		if !l.s.admit(own) {
			c.Close()
			continue
		}
		go l.s.serve(own, establish)
	}
}

// serve runs a connection from its first byte to its last trace.
func (s *Server) serve(c *conn, establish listeners.EstablishFn) {
	defer s.running.Done()
	defer s.remove(c)
	defer c.finish()
	defer func() {
		if p := recover(); p != nil {
			s.m.closed.WithLabelValues(closedPanic).Inc()
			s.logger.Error("panic in an MQTT connection", "panic", p)
		}
	}()
	if err := establish("mqtt", c); err != nil {
		s.logger.Debug("MQTT connection ended", "error", err)
	}
}
