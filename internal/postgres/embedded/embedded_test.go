package embedded_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/lifecycle"
	"github.com/foodflow/foodflow/internal/postgres/embedded"
)

// place gives a folder that the server's own user can reach, unlike t.TempDir,
// and an address.
func place(t *testing.T) embedded.Config {
	t.Helper()
	if _, err := embedded.Binaries(); err != nil {
		if os.Getenv("REQUIRE_SERVICES") != "" {
			t.Fatal(err)
		}
		t.Skip("needs postgres: ", err)
	}
	dir, err := os.MkdirTemp("", "foodflow-pg-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	port, err := lifecycle.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return embedded.Config{Dir: filepath.Join(dir, "postgres"), Addr: fmt.Sprint("127.0.0.1:", port), Password: "se-cret-1"}
}

func start(t *testing.T, cfg embedded.Config) (*lifecycle.Process, string) {
	t.Helper()
	p, url, err := embedded.New(t.Context(), cfg, io.Discard, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, p) })
	return p, url
}

func stop(t *testing.T, p *lifecycle.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func scan[T any](t *testing.T, c *pgx.Conn, query string) (v T) {
	t.Helper()
	if err := c.QueryRow(t.Context(), query).Scan(&v); err != nil {
		t.Fatal(query, ": ", err)
	}
	return v
}

func TestClusterIsMadeAsPromised(t *testing.T) {
	cfg := place(t)
	p, url := start(t, cfg)
	c := connect(t, url)
	for query, want := range map[string]string{
		"SHOW server_encoding":     "UTF8",
		"SHOW password_encryption": "scram-sha-256",
		"SHOW fsync":               "on",
		"SHOW synchronous_commit":  "on",
		"SHOW full_page_writes":    "on",
		"SHOW listen_addresses":    "127.0.0.1",
	} {
		if got := scan[string](t, c, query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if conn, err := pgx.Connect(t.Context(), "postgres://postgres:wrong@"+cfg.Addr+"/postgres?sslmode=disable"); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a wrong password opens the door")
	}
	if left, err := filepath.Glob(filepath.Join(cfg.Dir, "password*")); err != nil || len(left) != 0 {
		t.Errorf("the password lies about: %v, %v", left, err)
	}
	// Fast shutdown: a client that idles doesn't hold it up, until it would be
	// killed.
	stop(t, p)
}

// An acknowledged commit is there after kill -9 of the server, at the same
// address, whether its supervisor starts it again or the next run of foodflow.
func TestCommitsOutliveKills(t *testing.T) {
	cfg := place(t)
	p, url := start(t, cfg)
	c := connect(t, url)
	if _, err := c.Exec(t.Context(), "CREATE TABLE kept (n int)"); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 2; n++ {
		if _, err := c.Exec(t.Context(), "INSERT INTO kept VALUES ($1)", n); err != nil {
			t.Fatal(err)
		}
		if n == 2 {
			break
		}
		before := p.PID()
		if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		c = reconnect(t, url, func() bool { return p.PID() != before })
	}
	stop(t, p)
	// What a killed run leaves: a file that names a process that is gone.
	stale := filepath.Join(cfg.Dir, "data", "postmaster.pid")
	if err := os.WriteFile(stale, []byte("999999\n"+cfg.Dir+"/data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, url = start(t, cfg)
	if got := scan[int](t, connect(t, url), "SELECT sum(n)::int FROM kept"); got != 3 {
		t.Fatalf("the rows sum up to %d, want 3", got)
	}
}

// reconnect waits for the server that follows a killed one.
func reconnect(t *testing.T, url string, another func() bool) *pgx.Conn {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if another() {
			if c, err := pgx.Connect(t.Context(), url); err == nil {
				t.Cleanup(func() { _ = c.Close(context.Background()) })
				return c
			}
		}
		if time.Now().After(end) {
			t.Fatal("the server does not come back")
		}
	}
}

// A server whose parent was killed is ended by the next run, which holds the
// directory's lock, rather than left to two masters.
func TestOrphanIsEnded(t *testing.T) {
	cfg := place(t)
	p, _, err := embedded.New(t.Context(), cfg, io.Discard, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	orphan := exec.Command(p.Path, p.Args...)
	orphan.Dir, orphan.SysProcAttr = p.Dir, &syscall.SysProcAttr{Credential: p.User}
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- orphan.Wait() }()
	for end := time.Now().Add(3 * time.Minute); p.Probe(t.Context()) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the orphan doesn't answer")
		}
	}
	next, _, err := embedded.New(t.Context(), cfg, io.Discard, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		_ = orphan.Process.Kill()
		t.Fatal("the orphan lives")
	}
	if err := next.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop(t, next)
}

func TestHalfMadeClusterIsMadeAnew(t *testing.T) {
	cfg := place(t)
	half := filepath.Join(cfg.Dir, "data.new")
	if err := os.MkdirAll(half, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, url := start(t, cfg)
	if got := scan[int](t, connect(t, url), "SELECT 1"); got != 1 {
		t.Fatal(got)
	}
}
