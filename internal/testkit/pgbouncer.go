package testkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/lifecycle"
)

// PgBouncer starts a PgBouncer in transaction mode before the server of url,
// with so few connections to it that clients must share, and gives url through
// it. It ends with the test. Where the program is missing the test is skipped,
// visibly; with REQUIRE_SERVICES set it fails.
func PgBouncer(t testing.TB, url string) string {
	t.Helper()
	bin, err := pgBouncerBin()
	if errors.Is(err, errNoPgBouncer) && os.Getenv("REQUIRE_SERVICES") == "" {
		t.Skip("needs pgbouncer: ", err)
	}
	if err != nil {
		t.Fatal("finding pgbouncer: ", err)
	}
	c, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	// The program's own user can't reach t.TempDir.
	dir, err := os.MkdirTemp("", "foodflow-pgbouncer-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	port, err := lifecycle.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	// auth_type any: whoever comes is the user named here.
	ini := fmt.Sprintf(`[databases]
* = host=%s port=%d user=%s password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 500
`, c.Host, c.Port, c.User, c.Password, port, pgBouncerPool)
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(ini), 0o644); err != nil {
		t.Fatal(err)
	}
	startPgBouncer(t, bin, dir, file)
	through := fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", c.User, c.Password, port, c.Database)
	if err := await(through); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log")) // the first error is the one that matters
		t.Fatalf("waiting for pgbouncer: %v: %s", err, log)
	}
	return through
}

// pgBouncerPool is how many connections all clients share.
const pgBouncerPool = 4

// startPgBouncer runs it for as long as a pipe from us is open, so that it ends
// with this process however that ends.
func startPgBouncer(t testing.TB, bin, dir, file string) {
	t.Helper()
	attr, err := unprivileged(dir)
	if err != nil {
		t.Fatal(err)
	}
	const script = `"$1" "$2" >"$3/log" 2>&1 & p=$!; cat >/dev/null; kill -TERM $p; wait $p`
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "sh", "-c", script, "sh", bin, file, dir)
	cmd.Dir, cmd.SysProcAttr, cmd.WaitDelay = dir, attr, 10*time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal("starting pgbouncer: ", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // it was asked to end
		cancel()
	})
}

var errNoPgBouncer = errors.New("no pgbouncer found")

func pgBouncerBin() (string, error) {
	for _, p := range strings.Fields("pgbouncer /usr/sbin/pgbouncer /usr/local/sbin/pgbouncer") {
		if bin, err := exec.LookPath(p); err == nil {
			return bin, nil
		}
	}
	return "", errNoPgBouncer
}
