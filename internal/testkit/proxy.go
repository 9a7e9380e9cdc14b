package testkit

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Fault is what a Proxy does to the traffic.
type Fault int

// The faults, as a network has them.
const (
	// Pass does nothing.
	Pass Fault = iota
	// Cut resets every connection, and each new one as soon as it is made.
	Cut
	// DropReplies brings every request to the server and no answer back. When
	// it ends, connections that lost an answer are reset, as by a gateway that
	// forgot them: a stream with a hole in it does not exist.
	DropReplies
	// BlackHole keeps connections open, takes new ones, and moves nothing.
	// When it ends the traffic goes on where it stood, as TCP sends it again.
	BlackHole
	// Trickle lets TrickleBytes a second through, each way of each connection.
	Trickle
)

// String names the fault.
func (f Fault) String() string {
	return [...]string{"pass", "cut", "drop replies", "black hole", "trickle"}[f]
}

// TrickleBytes is the speed of Trickle, that of an old modem.
const TrickleBytes = 4 << 10

// Proxy is a way through the network whose faults a test sets. Several servers
// can be reached through one Proxy, so the way to a Kafka of several brokers is
// one. It ends with the test.
type Proxy struct {
	ctx context.Context

	mu      sync.Mutex // guards what follows
	fault   Fault
	turned  chan struct{}            // closed when fault changes
	fronts  map[string]string        // server to the address in front of it
	ends    map[*connection]struct{} // open connections
	swallow atomic.Int64
}

// NewProxy gives a way without faults.
func NewProxy(t testing.TB) *Proxy {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{ctx: ctx, turned: make(chan struct{}), fronts: map[string]string{}, ends: map[*connection]struct{}{}}
	t.Cleanup(func() {
		cancel()
		p.Set(Cut)
	})
	return p
}

// Set turns a fault on in place of the one before; it holds for connections
// that are open too.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
	close(p.turned)
	p.turned = make(chan struct{})
	for c := range p.ends {
		if f == Cut || c.lost.Load() && f != DropReplies {
			c.reset()
		}
	}
}

// Swallowed is how many bytes of answers DropReplies took.
func (p *Proxy) Swallowed() int64 { return p.swallow.Load() }

// now is the fault, and what is closed when it changes.
func (p *Proxy) now() (Fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.turned
}

// To gives the address in front of a server, the same one each time.
func (p *Proxy) To(server string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if addr, ok := p.fronts[server]; ok {
		return addr, nil
	}
	l, err := (&net.ListenConfig{}).Listen(p.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening in front of %s: %w", server, err)
	}
	context.AfterFunc(p.ctx, func() { l.Close() })
	p.fronts[server] = l.Addr().String()
	go p.accept(l, server) // ends with the listener
	return l.Addr().String(), nil
}

// Dial connects to a server by way of the proxy. It is for clients that learn
// addresses from the server, as Kafka's do.
func (p *Proxy) Dial(ctx context.Context, network, server string) (net.Conn, error) {
	addr, err := p.To(server)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}

func (p *Proxy) accept(l net.Listener, server string) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		go p.serve(client.(*net.TCPConn), server)
	}
}

// serve joins a client's connection to one of its own to the server.
func (p *Proxy) serve(client *net.TCPConn, server string) {
	c := &connection{client: client}
	defer c.reset()
	for f, turned := p.now(); f == BlackHole; f, turned = p.now() {
		select {
		case <-turned:
		case <-p.ctx.Done():
			return
		}
	}
	upstream, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(p.ctx, "tcp", server)
	if err != nil {
		return
	}
	c.server = upstream.(*net.TCPConn)
	p.mu.Lock()
	p.ends[c] = struct{}{}
	cut := p.fault == Cut
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.ends, c)
		p.mu.Unlock()
	}()
	if cut {
		return
	}
	done := make(chan struct{}, 2)
	go func() { p.copy(c, c.server, c.client, false); done <- struct{}{} }()
	go func() { p.copy(c, c.client, c.server, true); done <- struct{}{} }()
	<-done
	c.reset()
	<-done
}

// copy moves bytes one way until either end is closed.
func (p *Proxy) copy(c *connection, to io.Writer, from io.Reader, answers bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || !p.move(c, to, buf[:n], answers) {
			return
		}
	}
}

// move brings bytes that were read to the other side as the fault allows; it
// reports whether the connection lives.
func (p *Proxy) move(c *connection, to io.Writer, b []byte, answers bool) bool {
	for len(b) > 0 {
		f, turned := p.now()
		n, pause := len(b), time.Duration(0)
		switch {
		case f == Cut:
			return false
		case f == BlackHole:
			n, pause = 0, time.Hour
		case f == DropReplies && answers, c.lost.Load() && answers:
			c.lost.Store(true)
			p.swallow.Add(int64(n))
			return true
		case f == Trickle:
			const step = 50 * time.Millisecond
			n, pause = min(n, TrickleBytes*int(step)/int(time.Second)), step
		}
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return false
			}
			b = b[n:]
		}
		if pause == 0 {
			continue
		}
		select {
		case <-turned:
		case <-time.After(pause):
		case <-p.ctx.Done():
			return false
		}
	}
	return true
}

// connection is a client's and the one to the server that belongs to it.
type connection struct {
	client, server *net.TCPConn
	lost           atomic.Bool // an answer was swallowed
}

// reset closes both sides without a farewell.
func (c *connection) reset() {
	for _, side := range []*net.TCPConn{c.client, c.server} {
		if side != nil {
			_ = side.SetLinger(0) // an error says that it is closed
			_ = side.Close()
		}
	}
}
