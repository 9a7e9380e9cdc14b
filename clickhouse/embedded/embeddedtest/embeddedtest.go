// Package embeddedtest gives tests the real ClickHouse engine: one a test
// process, a database a test.
package embeddedtest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded"
	"github.com/foodflow/foodflow/internal/plant"
)

// engine is the process's one engine. It outlives the tests that share it and
// ends with the process.
type engine struct {
	once sync.Once
	url  string
	err  error
}

// shared is a package variable because tests of a package must share the
// engine: a second one in the same process is refused by the library.
var shared engine

// Start gives the URL of the process's engine.
func Start(tb testing.TB) string {
	tb.Helper()
	shared.once.Do(func() { shared.url, shared.err = launch() })
	if shared.err != nil {
		if os.Getenv("REQUIRE_SERVICES") == "" {
			tb.Skipf("no ClickHouse engine: %v", shared.err)
		}
		tb.Fatalf("starting the ClickHouse engine: %v", shared.err)
	}
	return shared.url
}

// CacheDir is where engines are installed.
func CacheDir() (string, error) {
	if dir := os.Getenv("FOODFLOW_CACHE_DIR"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "foodflow"), err
}

func launch() (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", fmt.Errorf("finding cache folder: %w", err)
	}
	lib, err := embedded.Install(context.Background(), cache, func(s string) { fmt.Fprintln(os.Stderr, s) })
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "foodflow-clickhouse-")
	if err != nil {
		return "", fmt.Errorf("making data directory: %w", err)
	}
	cfg := embedded.DefaultConfig()
	cfg.Library, cfg.Dir = lib, dir
	addr, failed := make(chan string, 1), make(chan error, 1)
	go func() {
		failed <- embedded.Serve(context.Background(), cfg, slog.New(slog.DiscardHandler), func(a string) { addr <- a })
	}()
	select {
	case a := <-addr:
		return "http://" + a, nil
	case err := <-failed:
		return "", err
	case <-time.After(60 * time.Second):
		return "", fmt.Errorf("the engine does not answer")
	}
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
