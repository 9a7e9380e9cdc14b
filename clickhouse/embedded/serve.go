package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Config places the engine's process.
type Config struct {
	// Library is the path of libchdb.so.
	Library string
	// Dir is the data directory.
	Dir string
	// Addr is host:port to listen on; port 0 takes a free one.
	Addr string
	// Password of the one user, "default"; empty means none is asked for.
	Password string
	// Connections bounds the statements that run at once.
	Connections int
	// MaxMemory bounds the engine's memory in bytes; 0 leaves the engine's own
	// bound, nine tenths of the machine.
	MaxMemory int64
	// Drain is how long running statements may go on once the engine is asked to
	// stop; then those that read are cancelled.
	Drain time.Duration
}

// DefaultConfig is for a small machine shared with the rest of the pipeline.
func DefaultConfig() Config {
	return Config{Addr: "127.0.0.1:0", Connections: 16, MaxMemory: 6 << 30, Drain: 15 * time.Second}
}

// queueWait is how long a request waits for one of the connections.
const queueWait = 30 * time.Second

// Serve runs the engine in this process until ctx ends, then lets the running
// statements finish. ready is called once with the address.
func Serve(ctx context.Context, cfg Config, logger *slog.Logger, ready func(addr string)) error {
	unlock, err := lock(cfg.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	lib, err := open(cfg.Library)
	if err != nil {
		return err
	}
	args := []string{"--logger.level=warning"}
	if cfg.MaxMemory > 0 {
		args = append(args, fmt.Sprintf("--max_server_memory_usage=%d", cfg.MaxMemory))
	}
	dialer := func() (*conn, error) { return dial(lib, filepath.Join(cfg.Dir, "store"), args) }
	keeper, err := dialer() // the engine lives as long as one connection does
	if err != nil {
		return err
	}
	defer keeper.close()
	zone, _, err := keeper.exec("SELECT timezone()", "TSVRaw", nil)
	if err != nil {
		return fmt.Errorf("asking the engine: %w", err)
	}
	k := &killer{c: keeper, logger: logger}
	p := newPool(cfg.Connections, queueWait, func() (*conn, error) {
		c, err := dialer()
		if err != nil {
			return nil, err
		}
		if err := k.label(c); err != nil {
			c.close()
			return nil, err
		}
		return c, nil
	})
	defer p.close()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("listening for ClickHouse's HTTP interface: %w", err)
	}
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	srv := &http.Server{
		Handler:           &handler{pool: p, killer: k, user: "default", password: cfg.Password, timezone: string(trimLine(zone)), logger: logger},
		BaseContext:       func(net.Listener) context.Context { return work },
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 1 << 20,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	ready(l.Addr().String())
	select {
	case err := <-failed:
		return fmt.Errorf("serving ClickHouse's HTTP interface: %w", err)
	case <-ctx.Done():
	}
	return drain(work, srv, cfg.Drain, end)
}

// cancelWait is how long cancelled statements get to end.
const cancelWait = 5 * time.Second

// drain lets the running statements finish for a while, then cancels them by end,
// which cancels work.
func drain(work context.Context, srv *http.Server, limit time.Duration, end context.CancelFunc) error {
	timer := time.AfterFunc(limit, end)
	defer timer.Stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), limit+cancelWait)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return fmt.Errorf("draining ClickHouse's HTTP interface: %w", err)
	}
	return nil
}

func trimLine(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	return b
}

// ErrInUse says that another process has the data directory open.
var ErrInUse = errors.New("the data directory is in use by another process")

// lock makes the directory and takes it for this process. A lock dies with its
// process, however that ends. A predecessor on its way out is waited for.
func lock(dir string) (func(), error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making ClickHouse data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening lock: %w", err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if time.Now().After(deadline) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", dir, ErrInUse)
		}
	}
}
