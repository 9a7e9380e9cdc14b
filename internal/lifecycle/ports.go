package lifecycle

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Ports gives each name an address: the one asked for, with port 0 the one of
// the last start of dir, or a free one the first time. Clients of the last
// start find what they know.
func Ports(dir string, asked map[string]string) (map[string]string, error) {
	path := filepath.Join(dir, "ports.json")
	old := map[string]int{}
	if b, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(b, &old); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
	}
	out := map[string]string{}
	var held []net.Listener // until all are chosen, so that no two names get the same
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for name, addr := range asked {
		host, p, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("address of %s: %w", name, err)
		}
		port, err := strconv.Atoi(p)
		if err != nil {
			return nil, fmt.Errorf("address of %s: port %q is not a number", name, p)
		}
		if port == 0 {
			l, err := freePort(host, old[name])
			if err != nil {
				return nil, fmt.Errorf("finding a port for %s: %w", name, err)
			}
			held = append(held, l)
			if port, err = portOf(l); err != nil {
				return nil, fmt.Errorf("finding a port for %s: %w", name, err)
			}
			old[name] = port
		}
		out[name] = net.JoinHostPort(host, strconv.Itoa(port))
	}
	return out, WriteFile(path, old)
}

// lowestPort is the first of those that freePort draws from; well-known services
// live below.
const lowestPort = 10_000

// FreePort gives a port of host that is free now and that no outgoing connection
// gets, nor another process that draws one, for a server that is started by
// somebody else.
func FreePort(host string) (int, error) {
	l, err := freePort(host, 0)
	if err != nil {
		return 0, fmt.Errorf("finding a port: %w", err)
	}
	defer l.Close()
	port, err := portOf(l)
	if err != nil {
		return 0, fmt.Errorf("finding a port: %w", err)
	}
	return port, nil
}

func portOf(l net.Listener) (int, error) {
	a, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("%v is no TCP address", l.Addr())
	}
	return a.Port, nil
}

// freePort holds want if it is free, otherwise a free port that the kernel gives
// to nobody else: one below those of outgoing connections, which could take it
// before its child listens, or while that is started again.
func freePort(host string, want int) (net.Listener, error) {
	if want != 0 {
		if l, err := listen(host, want); err == nil {
			return l, nil
		}
	}
	for range 50 {
		port := lowestPort + rand.IntN(ephemeral()-lowestPort)
		if !reserve(host, port) {
			continue
		}
		if l, err := listen(host, port); err == nil {
			return l, nil
		}
	}
	return listen(host, 0)
}

// reserve keeps a port for as long as this process lives, by a socket that is
// bound to it and doesn't listen. Seconds may go by until the server that it is
// drawn for listens, and others draw meanwhile: they find it taken, because they
// don't ask to use an address again. The server does, as servers do, and so is let
// in beside it. False is that the port is taken; where nothing can be reserved
// every port is as good as free.
func reserve(host string, port int) bool {
	ip := net.ParseIP(host).To4()
	if ip == nil {
		return true
	}
	syscall.ForkLock.RLock() // no child begins between the two
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return true
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte(ip)}); err != nil {
		_ = syscall.Close(fd) // it holds nothing
		return false
	}
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		var l net.Listener
		if l, err = listen(host, port); err == nil {
			err = l.Close()
		}
	}
	if err != nil { // here a server would not be let in
		_ = syscall.Close(fd)
	}
	return true
}

func listen(host string, port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))) //nolint:noctx // loopback, at once
}

// ephemeral is the lowest port that an outgoing connection may get.
func ephemeral() int {
	const usual = 32_768
	low := 0
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return usual // no Linux
	}
	if _, err := fmt.Sscan(string(b), &low); err != nil || low <= lowestPort {
		return usual
	}
	return low
}
