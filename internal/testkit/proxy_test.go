package testkit_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/testkit"
)

// echo answers each line with itself and counts what it got.
func echo(t *testing.T) (string, *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got := &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					got.Add(1)
					if _, err := io.WriteString(c, line); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String(), got
}

// peer is a client's end.
type peer struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, p *testkit.Proxy, server string) *peer {
	t.Helper()
	c, err := p.Dial(t.Context(), "tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &peer{t, c, bufio.NewReader(c)}
}

// ask sends a line and gives the answer that comes within the limit.
func (c *peer) ask(line string, limit time.Duration) (string, error) {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	return c.answer(limit)
}

func (c *peer) answer(limit time.Duration) (string, error) {
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	s, err := c.r.ReadString('\n')
	return strings.TrimSpace(s), err
}

func (c *peer) must(line string) {
	c.t.Helper()
	if got, err := c.ask(line, time.Minute); err != nil || got != line {
		c.t.Fatalf("asked %q, answered %q, %v", line, got, err)
	}
}

const short = 150 * time.Millisecond

func TestProxyCuts(t *testing.T) {
	server, got := echo(t)
	p := testkit.NewProxy(t)
	c := dial(t, p, server)
	c.must("before")
	p.Set(testkit.Cut)
	if _, err := c.ask("x", time.Minute); err == nil || os.IsTimeout(err) {
		t.Fatalf("a cut connection says %v", err)
	}
	if c, err := p.Dial(t.Context(), "tcp", server); err == nil {
		next := &peer{t, c, bufio.NewReader(c)}
		if _, err := next.ask("x", time.Minute); err == nil || os.IsTimeout(err) {
			t.Fatalf("a new connection through a cut says %v", err)
		}
	}
	if got.Load() != 1 {
		t.Fatalf("the server got %d lines", got.Load())
	}
	p.Set(testkit.Pass)
	dial(t, p, server).must("after")
}

func TestProxyDropsReplies(t *testing.T) {
	server, got := echo(t)
	p := testkit.NewProxy(t)
	c, silent := dial(t, p, server), dial(t, p, server)
	c.must("before")
	silent.must("before")
	p.Set(testkit.DropReplies)
	if s, err := c.ask("lost", short); !os.IsTimeout(err) {
		t.Fatalf("answered %q, %v", s, err)
	}
	for deadline := time.Now().Add(time.Minute); (got.Load() < 3 || p.Swallowed() < 5) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if got.Load() != 3 || p.Swallowed() != 5 {
		t.Fatalf("the server got %d lines, %d bytes of answers were swallowed", got.Load(), p.Swallowed())
	}
	p.Set(testkit.Pass)
	if s, err := c.answer(time.Minute); err == nil || os.IsTimeout(err) {
		t.Fatalf("a connection with a hole goes on: %q, %v", s, err)
	}
	silent.must("it lost nothing")
}

func TestProxyHolds(t *testing.T) {
	server, got := echo(t)
	p := testkit.NewProxy(t)
	c := dial(t, p, server)
	c.must("before")
	p.Set(testkit.BlackHole)
	if s, err := c.ask("held", short); !os.IsTimeout(err) {
		t.Fatalf("answered %q, %v", s, err)
	}
	next := dial(t, p, server)
	if s, err := next.ask("held too", short); !os.IsTimeout(err) {
		t.Fatalf("answered %q, %v", s, err)
	}
	if got.Load() != 1 {
		t.Fatalf("the server got %d lines", got.Load())
	}
	p.Set(testkit.Pass)
	for c, want := range map[*peer]string{c: "held", next: "held too"} {
		if s, err := c.answer(time.Minute); err != nil || s != want {
			t.Fatalf("after the hole %q, %v", s, err)
		}
	}
}

func TestProxyTrickles(t *testing.T) {
	server, _ := echo(t)
	p := testkit.NewProxy(t)
	c := dial(t, p, server)
	p.Set(testkit.Trickle)
	line := strings.Repeat("x", testkit.TrickleBytes/2)
	began := time.Now()
	c.must(line)
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Fatalf("half a second's bytes went through in %v", took)
	}
	p.Set(testkit.Pass)
	// The machine may hold one up, and not each.
	for deadline := time.Now().Add(time.Minute); ; {
		began = time.Now()
		c.must(line)
		took := time.Since(began)
		if took < 400*time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("without a fault they take %v", took)
		}
	}
}

func TestProxyKnowsItsFronts(t *testing.T) {
	one, _ := echo(t)
	two, _ := echo(t)
	p := testkit.NewProxy(t)
	var addrs [3]string
	for i, server := range []string{one, two, one} {
		addr, err := p.To(server)
		if err != nil {
			t.Fatal(err)
		}
		addrs[i] = addr
	}
	if addrs[0] != addrs[2] || addrs[0] == addrs[1] {
		t.Fatalf("fronts %v", addrs)
	}
}
