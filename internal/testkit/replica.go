package testkit

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/foodflow/foodflow/internal/lifecycle"
)

// PostgresReplica gives the URL of a streaming replica of the server that
// Postgres gave url of, ended with the test. It is a copy of the whole server,
// so it has the same database. A test against a server of its own choice has
// none and is skipped.
func PostgresReplica(t testing.TB, primary string) string {
	t.Helper()
	if os.Getenv(PostgresVariable) != "" {
		t.Skip("a named server is not copied")
	}
	bin, err := postgresBin()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "foodflow-replica-") //nolint:usetesting // the server's user must reach it
	if err != nil {
		t.Fatal(err)
	}
	attr, err := unprivileged(dir)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(primary)
	if err != nil {
		t.Fatal(err)
	}
	free, err := lifecycle.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(free)
	data := filepath.Join(dir, "data")
	backup := exec.Command(filepath.Join(bin, "pg_basebackup"), "-h", u.Hostname(), "-p", u.Port(), "-U", u.User.Username(), "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
	backup.Dir, backup.SysProcAttr = dir, attr
	if out, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("copying postgres: %v\n%s", err, out)
	}
	const script = `"$1/postgres" -D "$2/data" -p "$3" -c unix_socket_directories="$2" -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200 -c shared_buffers=64MB >"$2/log" 2>&1 &
		p=$!; cat >/dev/null; kill -QUIT $p; wait $p; cd /; rm -rf "$2"`
	server := exec.Command("sh", "-c", script, "sh", bin, dir, port)
	server.Dir, server.SysProcAttr = dir, attr
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(stdin.Close(), server.Wait()) })
	u.Host = net.JoinHostPort("127.0.0.1", port)
	if err := await(u.String()); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		t.Fatal(fmt.Errorf("%w\n%s", err, log))
	}
	return u.String()
}
