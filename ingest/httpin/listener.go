package httpin

import (
	"net"
	"sync"
)

// limitListener accepts at most so many connections at once; the next waits in
// the kernel's queue.
type limitListener struct {
	net.Listener
	slots chan struct{} // one token an open connection
}

func newLimitListener(l net.Listener, n int) net.Listener {
	return &limitListener{Listener: l, slots: make(chan struct{}, n)}
}

// Accept waits for a free slot, then for a connection.
func (l *limitListener) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitConn{Conn: c, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

type limitConn struct {
	net.Conn
	release func()
}

// Close gives the slot back.
func (c *limitConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
