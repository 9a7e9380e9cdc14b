package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/lifecycle"
)

// PostgresVariable names a server to test against, as a URL of a user that may
// create databases and roles. Without it a private server is started from the
// machine's binaries.
const PostgresVariable = "FOODFLOW_TEST_POSTGRES"

// server is the one Postgres of this test process.
var server = sync.OnceValues(startPostgres)

var databases atomic.Int64

// Postgres gives the URL of an empty database of a real server, dropped when the
// test ends. Where there are no binaries the test is skipped, visibly; with
// REQUIRE_SERVICES set it fails.
func Postgres(t testing.TB) string {
	t.Helper()
	base, err := server()
	if errors.Is(err, errNoPostgres) && os.Getenv("REQUIRE_SERVICES") == "" {
		t.Skip("needs postgres: ", err)
	}
	if err != nil {
		t.Fatal("starting postgres: ", err)
	}
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	admin(t, base, "CREATE DATABASE "+name)
	t.Cleanup(func() { admin(t, base, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	c, err := pgx.ParseConfig(base)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", c.User, c.Password, c.Host, c.Port, name)
}

func admin(t testing.TB, url, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal("connecting to postgres: ", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatal(statement, ": ", err)
	}
}

var errNoPostgres = errors.New("no postgres binaries found")

// startPostgres makes a data directory and starts a server that ends with this
// process: a shell holds a pipe from us, and when the pipe closes, however we
// end, it stops the server and removes the directory.
func startPostgres() (string, error) {
	if url := os.Getenv(PostgresVariable); url != "" {
		return url, nil
	}
	bin, err := postgresBin()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "foodflow-postgres-")
	if err != nil {
		return "", err
	}
	attr, err := unprivileged(dir)
	if err != nil {
		return "", err
	}
	// The port is drawn first, which keeps it: making the directory takes seconds.
	port, err := lifecycle.FreePort("127.0.0.1")
	if err != nil {
		return "", err
	}
	const script = `"$1/initdb" -D "$2/data" -U test --auth=trust --no-sync -E UTF8 >"$2/log" 2>&1 &&
		{ "$1/postgres" -D "$2/data" -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$2" \
			-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=200 -c shared_buffers=64MB >>"$2/log" 2>&1 &
		p=$!; cat >/dev/null; kill -QUIT $p; wait $p; }; cd /; rm -rf "$2"`
	cmd := exec.Command("sh", "-c", script, "sh", bin, dir, strconv.Itoa(port))
	cmd.Dir, cmd.SysProcAttr = dir, attr
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		return "", err
	}
	_ = r.Close()
	// w stays open for as long as this process lives.
	keepOpen = w
	url := fmt.Sprintf("postgres://test:test@127.0.0.1:%d/postgres?sslmode=disable", port)
	return url, await(url)
}

// keepOpen holds the pipe that keeps the server alive out of the garbage
// collector's reach.
var keepOpen *os.File //nolint:unused // it is held, not read

func await(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, url)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for postgres: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func postgresBin() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	return "", errNoPostgres
}

// unprivileged gives the attributes of a user that Postgres is willing to run
// as: it refuses root.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, uid, gid)
}
