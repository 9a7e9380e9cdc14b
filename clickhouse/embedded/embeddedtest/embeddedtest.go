package embeddedtest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/foodflow/foodflow/internal/plant"
)

// shared is the process's one engine, a package variable because the tests of a
// package share it: an engine takes a second to start.
var shared = sync.OnceValues(func() (*Engine, error) {
	dir, err := os.MkdirTemp("", "foodflow-clickhouse-")
	if err != nil {
		return nil, fmt.Errorf("making data directory: %w", err)
	}
	e, err := run(dir, "-temporary")
	if err != nil {
		_ = os.RemoveAll(dir) // the first error is the one that matters
	}
	return e, err
})

// Start gives the URL of the process's engine.
func Start(tb testing.TB) string {
	tb.Helper()
	e, err := shared()
	if err != nil {
		missing(tb, err)
	}
	return e.URL
}

// missing skips where the engine can't be had, and fails where it must.
func missing(tb testing.TB, err error) {
	tb.Helper()
	if os.Getenv("REQUIRE_SERVICES") == "" {
		tb.Skipf("no ClickHouse engine: %v", err)
	}
	tb.Fatalf("starting the ClickHouse engine: %v", err)
}

// Database makes a database for the test and gives its name.
func Database(tb testing.TB) string {
	tb.Helper()
	url := Start(tb)
	name := "t_" + strings.ReplaceAll(plant.NewID().String(), "-", "")
	Exec(tb, url, "CREATE DATABASE "+name)
	tb.Cleanup(func() { Exec(tb, url, "DROP DATABASE IF EXISTS "+name+" SYNC") })
	return name
}

// Exec posts a statement and returns its output.
func Exec(tb testing.TB, url, statement string) string {
	tb.Helper()
	resp, err := http.Post(url, "text/plain", strings.NewReader(statement)) //nolint:noctx // cleanup runs after the test's context ended
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		tb.Fatalf("%s: %d %s", statement, resp.StatusCode, out)
	}
	return string(out)
}
