package lifecycle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// LockDir takes a data directory for this process, making it when it is
// missing. The lock dies with the process, however that ends.
func LockDir(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("making data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "foodflow.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := io.ReadAll(io.LimitReader(f, 200)) // what it says is a courtesy
		f.Close()
		return nil, fmt.Errorf("the data directory %s is in use by another foodflow (%s); stop that one or choose another --data-dir", dir, owner)
	}
	note := fmt.Sprintf("process %d since %s", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	if err := errors.Join(f.Truncate(0), writeAt(f, note)); err != nil {
		f.Close()
		return nil, fmt.Errorf("writing lock: %w", err)
	}
	return func() { f.Close() }, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

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
			a, ok := l.Addr().(*net.TCPAddr)
			if !ok {
				return nil, fmt.Errorf("finding a port for %s: %v is no TCP address", name, l.Addr())
			}
			port = a.Port
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
// gets, for a server that is started by somebody else.
func FreePort(host string) (int, error) {
	l, err := freePort(host, 0)
	if err != nil {
		return 0, fmt.Errorf("finding a port: %w", err)
	}
	defer l.Close()
	a, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("finding a port: %v is no TCP address", l.Addr())
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
		if l, err := listen(host, lowestPort+rand.IntN(ephemeral()-lowestPort)); err == nil {
			return l, nil
		}
	}
	return listen(host, 0)
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

// WriteFile writes v as JSON so that a reader sees the old file or the whole new
// one.
func WriteFile(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
