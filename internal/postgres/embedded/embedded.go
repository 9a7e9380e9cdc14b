// Package embedded runs the machine's own Postgres on a private data directory:
// one server for one machine, started and stopped with foodflow.
//
// Postgres refuses to run as root; then it runs as the system's user postgres,
// who owns the directory. Its data survive kill -9 and power loss as Postgres
// promises; there is no replication.
package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/foodflow/foodflow/internal/lifecycle"
)

// Config places the server.
type Config struct {
	Dir      string
	Addr     string // host:port, the port chosen
	Password string // of user postgres
}

// ErrMissing says that the machine has no Postgres.
var ErrMissing = errors.New("no Postgres server on this machine: install Debian's package postgresql, or name a server with --postgres-url")

// Binaries finds the folder of initdb and postgres, the newest version first.
func Binaries() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", fmt.Errorf("looking for postgres: %w", err)
	}
	slices.Reverse(dirs)
	if p, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(p))
	}
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(d, "initdb")); err == nil {
			return d, nil
		}
	}
	return "", ErrMissing
}

// account gives whom the server runs as; nil is the own user.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("postgres can't run as root and there is no user postgres: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading uid of postgres: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading gid of postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// New prepares the data directory, making the cluster the first time, and gives
// the server as a process to start, with the URL it is reached by.
func New(ctx context.Context, cfg Config, log io.Writer, logger *slog.Logger) (*lifecycle.Process, string, error) {
	bin, err := Binaries()
	if err != nil {
		return nil, "", err
	}
	who, err := account()
	if err != nil {
		return nil, "", err
	}
	if cfg.Dir, err = reachable(cfg.Dir, who); err != nil {
		return nil, "", err
	}
	data := filepath.Join(cfg.Dir, "data")
	if err := prepare(ctx, bin, cfg, data, who); err != nil {
		return nil, "", err
	}
	if err := clearStale(ctx, data); err != nil {
		return nil, "", err
	}
	host, port, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, "", fmt.Errorf("address of postgres: %w", err)
	}
	p := &lifecycle.Process{
		Name: "postgres", Path: filepath.Join(bin, "postgres"), User: who, Log: log, Logger: logger, Dir: data,
		Args: []string{
			"-D", data, "-p", port, "-c", "listen_addresses=" + host, "-c", "unix_socket_directories=",
			"-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "logging_collector=off", "-c", "log_min_messages=warning",
		},
		// Fast shutdown: clients are disconnected, nothing is lost.
		StopSignal: syscall.SIGINT,
		Probe: func(ctx context.Context) error {
			return exec.CommandContext(ctx, filepath.Join(bin, "pg_isready"), "-q", "-h", host, "-p", port).Run()
		},
	}
	return p, fmt.Sprintf("postgres://postgres:%s@%s/postgres?sslmode=disable", cfg.Password, cfg.Addr), nil
}

// staleWait bounds the end of a server that outlived its parent.
const staleWait = 20 * time.Second

// clearStale deals with a server of a run that was killed. The caller holds the
// lock on the data directory, so whoever runs on it has lost its parent: it is
// asked to end, and the file that names it is removed once it is gone. A
// process that ended but was never waited for still has its number; Postgres
// would take it for running.
func clearStale(ctx context.Context, data string) error {
	path := filepath.Join(data, "postmaster.pid")
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for a server from an earlier run: %w", err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return fmt.Errorf("%s names no process; remove it if no server runs on the directory", path)
	}
	for deadline := time.Now().Add(staleWait); runsOn(pid, data); {
		_ = syscall.Kill(pid, syscall.SIGINT) // an error says that it is gone
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("a postgres server (process %d) from an earlier run does not end", pid)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the file of a server that is gone: %w", err)
	}
	return nil
}

// runsOn says whether a process is a living server on the data directory. A
// zombie has no command line.
func runsOn(pid int, data string) bool {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && strings.Contains(string(line), data)
}

// reachable gives dir, or a folder under /var/lib when the server's user can't
// reach dir because a folder above it is closed to others, as /root is.
func reachable(dir string, who *syscall.Credential) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil || who == nil {
		return dir, err
	}
	for d := filepath.Dir(filepath.Dir(dir)); ; d = filepath.Dir(d) {
		st, err := os.Stat(d)
		if err != nil {
			return "", fmt.Errorf("looking at %s: %w", d, err)
		}
		if st.Mode().Perm()&0o001 == 0 {
			sum := sha256.Sum256([]byte(dir))
			return fmt.Sprintf("/var/lib/foodflow/%x", sum[:6]), nil
		}
		if d == filepath.Dir(d) {
			return dir, nil
		}
	}
}

// prepare makes the cluster when there is none. A half-made one is made anew.
func prepare(ctx context.Context, bin string, cfg Config, data string, who *syscall.Credential) error {
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return nil
	}
	if err := os.MkdirAll(cfg.Dir, 0o711); err != nil {
		return fmt.Errorf("making postgres directory: %w", err)
	}
	tmp := data + ".new"
	if err := errors.Join(os.RemoveAll(tmp), os.Mkdir(tmp, 0o700)); err != nil {
		return fmt.Errorf("making postgres data directory: %w", err)
	}
	if who != nil {
		if err := os.Chown(tmp, int(who.Uid), int(who.Gid)); err != nil {
			return fmt.Errorf("giving postgres its directory: %w", err)
		}
	}
	pw := filepath.Join(cfg.Dir, "password.new")
	if err := os.WriteFile(pw, []byte(cfg.Password+"\n"), 0o600); err != nil {
		return fmt.Errorf("passing password: %w", err)
	}
	defer os.Remove(pw)
	if who != nil {
		if err := os.Chown(pw, int(who.Uid), int(who.Gid)); err != nil {
			return fmt.Errorf("passing password: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", tmp, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-A", "scram-sha-256", "--pwfile="+pw)
	cmd.Dir = tmp
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making the postgres cluster: %w: %s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(tmp, data); err != nil {
		return fmt.Errorf("naming the postgres cluster: %w", err)
	}
	return nil
}
