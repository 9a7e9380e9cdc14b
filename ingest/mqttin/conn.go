package mqttin

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Why the door ends a connection by itself.
var (
	errFirst    = errors.New("the first packet is no CONNECT, or too large")
	errTooLarge = errors.New("a packet is larger than allowed")
)

// readBuffer is what mochi reads at once, for each socket; a packet that doesn't
// fit is made room for before it is read.
const readBuffer = 8 << 10

// penalty is how long the socket is not read after messages that were refused
// for lack of quota or room: a client that takes no notice of it would cost the
// others more than if it had the quota.
const penalty = 100 * time.Millisecond

// conn is a client's socket, between mochi and the network. mochi bounds a
// packet only after it has read its length, and by one limit for friend and
// stranger; it waits for a CONNECT for ever, and for a client that doesn't read
// its answers. So the socket follows the packets itself, keeps deadlines of its
// own, and asks for room before a large packet.
//
// It is also where the door's own state of a client lives: who forgets the
// socket forgets all of it, whatever way mochi took.
type conn struct {
	net.Conn
	s *Server

	closed   chan struct{} // by Close
	closing  sync.Once
	draining atomic.Bool           // set by drain
	expelled atomic.Bool           // set before expel
	login    atomic.Pointer[login] // set once, when the CONNECT is accepted

	// The rest belongs to the reading goroutine.
	frames
	idle      time.Time // until when mochi waits for the next packet
	began     time.Time // when the packet under way began, zero between packets
	loginBy   time.Time
	ahead     int64 // room for the large packet that is being read
	held      int64 // room for large packets that mochi has whole
	refused   error // a packet was refused by its length; what came before goes first
	pressed   bool  // messages were refused for lack of quota or room
	greeted   bool  // the CONNECT has begun
	collected *group
	qos       byte // of the PUBLISH that is being processed, as it was sent
}

func newConn(s *Server, c net.Conn) *conn {
	return &conn{Conn: c, s: s, closed: make(chan struct{}), loginBy: time.Now().Add(s.cfg.LoginTime)}
}

// Close ends the socket and lets go who waits for it.
func (c *conn) Close() error {
	var err error
	c.closing.Do(func() {
		close(c.closed)
		if l := c.login.Load(); l != nil {
			l.queue.close()
		}
		err = c.Conn.Close()
	})
	return err
}

// SetDeadline is mochi's way to say how long a client may be silent.
func (c *conn) SetDeadline(t time.Time) error {
	c.idle = t
	return nil
}

// Write bounds the time that a client takes to receive an answer. A DISCONNECT
// is something that only MQTT 5 has from a server.
func (c *conn) Write(p []byte) (int, error) {
	if l := c.login.Load(); l != nil && l.version < 5 && len(p) > 0 && p[0]&0xF0 == disconnectPacket {
		return len(p), nil
	}
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.s.cfg.WriteTime)); err != nil {
		return 0, err //nolint:wrapcheck // mochi looks at it
	}
	return c.Conn.Write(p) //nolint:wrapcheck // as above
}

// Read is called by mochi when it has processed everything that it had: so what
// was collected goes to Kafka now.
func (c *conn) Read(p []byte) (int, error) {
	c.flush()
	c.giveBack()
	if c.pressed {
		c.pressed = false
		c.rest(penalty)
	}
	if err := c.Conn.SetReadDeadline(c.deadline()); err != nil {
		return 0, err //nolint:wrapcheck // mochi looks at it
	}
	// drain sets the flag before it wakes the socket: one of the two is seen.
	if c.draining.Load() {
		return 0, c.leave(packets.ErrServerShuttingDown)
	}
	if c.refused != nil {
		return 0, c.refuseBytes()
	}
	n, err := c.Conn.Read(p)
	if err != nil && c.draining.Load() {
		return 0, c.leave(packets.ErrServerShuttingDown)
	}
	if n, c.refused = c.follow(p[:n]); c.refused != nil && n == 0 {
		return 0, c.refuseBytes()
	}
	return n, err //nolint:wrapcheck // as above
}

// refuseBytes ends the connection because of a packet, once those before it are
// answered.
func (c *conn) refuseBytes() error {
	switch {
	case errors.Is(c.refused, errTooLarge):
		c.s.m.closed.WithLabelValues(closedTooLarge).Inc()
		return c.leave(packets.ErrPacketTooLarge)
	case errors.Is(c.refused, errFirst):
		c.s.m.closed.WithLabelValues(closedFirst).Inc()
		return errFirst
	case errors.Is(c.refused, io.EOF): // it was over while room was waited for
		return c.leave(packets.ErrServerShuttingDown)
	}
	c.s.m.closed.WithLabelValues(closedMalformed).Inc()
	return c.leave(packets.ErrMalformedPacket)
}

// deadline is the earliest of those that hold.
func (c *conn) deadline() time.Time {
	if c.login.Load() == nil {
		return c.loginBy
	}
	if c.between() {
		c.began = time.Time{}
		return c.idle
	}
	if c.began.IsZero() {
		c.began = time.Now()
	}
	by := c.began.Add(c.s.cfg.PacketTime)
	if !c.idle.IsZero() && c.idle.Before(by) {
		return c.idle
	}
	return by
}

// follow walks over what came, refuses packets by their length, and makes room
// for the large ones. good is how much may go to mochi; behind it is the packet
// that err refuses.
func (c *conn) follow(b []byte) (good int, err error) {
	at := 0
	for at < len(b) {
		used, header, err := c.next(b[at:])
		if err == nil && header {
			c.began = time.Time{} // this one's is when it is first waited for
			err = c.admitPacket()
		}
		if err != nil {
			return at, err
		}
		at += used
		if c.left == 0 {
			c.began = time.Time{}
			c.held, c.ahead = c.held+c.ahead, 0
		}
	}
	return at, nil
}

func (c *conn) admitPacket() error {
	l := c.login.Load()
	if l == nil {
		// A client may send on before it has its CONNACK.
		if !c.greeted && c.first != connectPacket || c.size > c.s.cfg.MaxConnect {
			return errFirst
		}
		c.greeted = true
		return nil
	}
	if c.size >= int(c.s.cfg.MaxPacket) {
		return errTooLarge
	}
	if c.size <= readBuffer {
		return nil
	}
	n := 2 * int64(c.size) // mochi copies it once
	for {
		err := c.s.svc.Take(l.who.Tenant, n)
		if err == nil {
			c.ahead = n
			return nil
		}
		if !c.wait(err) {
			return io.EOF
		}
	}
}

// giveBack releases the room of packets that have been processed.
func (c *conn) giveBack() {
	if c.held > 0 {
		c.s.svc.Give(c.login.Load().who.Tenant, c.held)
		c.held = 0
	}
}

// drain makes the socket end once everything that came has been answered.
func (c *conn) drain() {
	c.draining.Store(true)
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // wakes the reader; it is asked again before each read
}

// politeness is how long a client that must go may take to hear it. With Recheck it
// stays within the second that is promised, and one that listens hears it also
// where the process gets little of its machine.
const politeness = 500 * time.Millisecond

// expel ends the connection at once: MQTT 5 clients are told why, if they listen.
func (c *conn) expel(l *login, code packets.Code) {
	timer := time.AfterFunc(politeness, func() { c.Close() })
	defer timer.Stop()
	_ = c.s.broker.DisconnectClient(l.cl, code) // gives the code back
	c.Close()
}

// leave ends the connection in order: what came is answered first. MQTT 5
// clients are told why. It gives the error that ends mochi's reading.
func (c *conn) leave(code packets.Code) error {
	if l := c.login.Load(); l != nil {
		c.flush()
		l.queue.drained()
		_ = c.s.broker.DisconnectClient(l.cl, code) // gives the code back
	}
	return io.EOF
}

// finish is called once mochi is done with the socket, in whatever way.
func (c *conn) finish() {
	l := c.login.Load()
	if l != nil {
		c.flush()
	}
	c.Close()
	if l != nil {
		c.giveBack()
		c.s.svc.Give(l.who.Tenant, c.ahead)
		c.s.forget(c, l)
	}
}
