package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/lifecycle"
)

func TestLockDirNamesItsOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	release, err := lifecycle.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lifecycle.LockDir(dir)
	for _, want := range []string{dir, fmt.Sprint("process ", os.Getpid()), "since 2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("the second lock says %v, not %q", err, want)
		}
	}
	release()
	if release, err = lifecycle.LockDir(dir); err != nil {
		t.Fatal("a lock that was released: ", err)
	}
	release()
}

func TestPortsStay(t *testing.T) {
	dir := t.TempDir()
	asked := map[string]string{"fixed": "127.0.0.1:4711"}
	for i := range 20 {
		asked[fmt.Sprint("n", i)] = "127.0.0.1:0"
	}
	first, err := lifecycle.Ports(dir, asked)
	if err != nil {
		t.Fatal(err)
	}
	if first["fixed"] != "127.0.0.1:4711" {
		t.Fatalf("a port that was asked for became %s", first["fixed"])
	}
	for name, addr := range first {
		var low, port int
		b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
		if err != nil {
			break // no Linux
		}
		if _, err := fmt.Sscan(string(b), &low); err != nil || low <= 10_000 {
			break // nothing is left below
		}
		if _, err := fmt.Sscanf(addr, "127.0.0.1:%d", &port); err != nil || port >= low {
			t.Errorf("%s got %s, which an outgoing connection can take: those begin at %d", name, addr, low)
		}
	}
	seen := map[string]string{}
	for name, addr := range first {
		if other, twice := seen[addr]; twice {
			t.Fatalf("%s and %s both got %s", name, other, addr)
		}
		seen[addr] = name
	}
	l, err := net.Listen("tcp", first["n3"])
	if err != nil {
		t.Skip("another process took the port: ", err)
	}
	defer l.Close()
	second, err := lifecycle.Ports(dir, map[string]string{"n3": "127.0.0.1:0", "n4": "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if second["n3"] == first["n3"] {
		t.Fatal("a port in use was given out")
	}
	if second["n4"] != first["n4"] {
		t.Fatalf("n4 was at %s, is at %s", first["n4"], second["n4"])
	}
	for _, bad := range []string{"", "127.0.0.1", "127.0.0.1:http"} {
		if _, err := lifecycle.Ports(dir, map[string]string{"x": bad}); err == nil {
			t.Errorf("address %q was taken", bad)
		}
	}
}

// A port that was drawn is nobody else's until its server listens, and that may.
func TestDrawnPortIsKept(t *testing.T) {
	port, err := lifecycle.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	bind := func() error {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		return syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	}
	if err := bind(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("another process that draws %d: %v", port, err)
	}
	for range 2 { // again, as a server that is killed and started again
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			t.Fatal("its own server: ", err)
		}
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		l.Close()
	}
}

func TestWriteFileLeavesNothingHalf(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ready.json")
	for _, v := range []string{"one", "two"} {
		if err := lifecycle.WriteFile(path, v); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != `"`+v+"\"\n" {
			t.Fatalf("%s, %v", b, err)
		}
	}
	if err := lifecycle.WriteFile(path, make(chan int)); err == nil {
		t.Fatal("a channel was written")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Fatalf("the folder holds %v, %v", left, err)
	}
	if err := lifecycle.WriteFile(filepath.Join(dir, "none", "f"), 1); err == nil {
		t.Fatal("written into a folder that isn't there")
	}
}

func TestGroupStopsBackwards(t *testing.T) {
	g := lifecycle.NewGroup(slog.New(slog.DiscardHandler), time.Second)
	var order []string
	add := func(name string, fails error) error {
		return g.Start(t.Context(), name,
			func(context.Context) error { order = append(order, "+"+name); return fails },
			func(context.Context) error { order = append(order, "-"+name); return nil })
	}
	boom := errors.New("boom")
	if err := errors.Join(add("a", nil), add("b", nil)); err != nil {
		t.Fatal(err)
	}
	err := add("c", boom)
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), "starting c") {
		t.Fatalf("got %v", err)
	}
	if want := []string{"+a", "+b", "+c", "-b", "-a"}; !slices.Equal(order, want) {
		t.Fatalf("order %v, want %v", order, want)
	}
	if err := g.Stop(); err != nil || len(order) != 5 {
		t.Fatalf("a second stop: %v, %v", err, order)
	}
}

func TestGroupEndsWithItsFirstFailure(t *testing.T) {
	g := lifecycle.NewGroup(slog.New(slog.DiscardHandler), 20*time.Millisecond)
	late := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	if err := g.Start(t.Context(), "late", func(context.Context) error { return nil }, late); err != nil {
		t.Fatal(err)
	}
	first, second := errors.New("first"), errors.New("second")
	g.Fail(first)
	g.Fail(second)
	err := g.Wait(t.Context())
	if !errors.Is(err, first) || errors.Is(err, second) {
		t.Fatalf("got %v", err)
	}
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "stopping late") {
		t.Fatalf("a stop past its limit is not named: %v", err)
	}
}
