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

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
)

// Serve runs the engine in this process until ctx ends, then lets the running
// statements finish. ready is called once with the address.
func Serve(ctx context.Context, cfg Config, logger *slog.Logger, ready func(addr string)) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	unlock, err := lock(cfg.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	h, end, err := start(cfg, logger)
	if err != nil {
		return err
	}
	defer end()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("listening for ClickHouse's HTTP interface: %w", err)
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler:           h,
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
	return drain(work, srv, h, cfg.Drain, cancel)
}

// start opens the engine and makes a handler on it; end closes all connections,
// and with them the engine.
func start(cfg Config, logger *slog.Logger) (h *handler, end func(), err error) {
	lib, err := chdb.Open(cfg.Library)
	if err != nil {
		return nil, nil, err
	}
	config, err := writeUsers(cfg.Dir, cfg.Analysts)
	if err != nil {
		return nil, nil, err
	}
	args := []string{"--config-file=" + config, "--logger.level=warning"}
	if cfg.MaxMemory > 0 {
		args = append(args, fmt.Sprintf("--max_server_memory_usage=%d", cfg.MaxMemory))
	}
	dial := func() (*chdb.Conn, error) { return lib.Dial(filepath.Join(cfg.Dir, "store"), args) }
	keeper, err := dial() // the engine lives as long as one connection does
	if err != nil {
		return nil, nil, err
	}
	zone, _, err := keeper.Exec("SELECT timezone()", "TSVRaw", nil)
	if err != nil {
		keeper.Close()
		return nil, nil, fmt.Errorf("asking the engine: %w", err)
	}
	k := &killer{c: &conn{Conn: keeper}, logger: logger}
	h = &handler{killer: k, timezone: string(trimLine(zone)), logger: logger}
	h.accounts = append(h.accounts, &account{
		name: "default", password: cfg.Password,
		pool: newPool(cfg.Connections, false, cfg.QueueWait, func() (*conn, error) { return k.connect(dial, nil) }),
	})
	for _, a := range cfg.Analysts {
		// A new connection each time: what one statement left on it, none finds.
		h.accounts = append(h.accounts, &account{
			name: a.Name, password: a.Password, limited: true,
			pool: newPool(max(1, cfg.Connections/2), true, cfg.QueueWait, func() (*conn, error) { return k.connect(dial, &a) }),
		})
	}
	return h, func() {
		for _, a := range h.accounts {
			a.pool.close()
		}
		keeper.Close()
	}, nil
}

// cancelWait is how long cancelled statements get to end.
const cancelWait = 5 * time.Second

// drain lets the running statements finish for a while, then cancels them by end,
// which cancels work.
func drain(work context.Context, srv *http.Server, h *handler, limit time.Duration, end context.CancelFunc) error {
	timer := time.AfterFunc(limit, end)
	defer timer.Stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(work), limit+cancelWait)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return fmt.Errorf("draining ClickHouse's HTTP interface: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		h.long.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("draining answers that report their progress: %w", ctx.Err())
	}
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
