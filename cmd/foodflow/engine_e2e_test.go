package main_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded"
	"github.com/foodflow/foodflow/internal/lifecycle"
)

// TestClickHouseComesBack ends the engine from inside, as its owner may by SQL, and
// from outside: the supervisor starts it again each time, and what was acknowledged
// is there.
func TestClickHouseComesBack(t *testing.T) {
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := lifecycle.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	lib, err := embedded.Install(t.Context(), cache, func(s string) { t.Log(s) })
	if err != nil {
		if os.Getenv("REQUIRE_SERVICES") == "" {
			t.Skipf("no ClickHouse engine: %v", err)
		}
		t.Fatal(err)
	}
	port, err := lifecycle.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	p := &lifecycle.Process{
		Name: "clickhouse", Path: bin, Log: io.Discard, Logger: slog.New(slog.DiscardHandler),
		Args: []string{"clickhouse-engine", "--library", lib, "--dir", filepath.Join(t.TempDir(), "clickhouse"), "--addr", addr},
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	ask := func(statement string) (string, error) {
		resp, err := http.Post("http://"+addr, "text/plain", strings.NewReader(statement))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		out, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%d %s", resp.StatusCode, out)
		}
		return string(out), err
	}
	if _, err := ask("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n"); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, tc := range []struct {
		how string
		end func(pid int)
	}{
		{"SYSTEM SHUTDOWN", func(int) { _, _ = ask("SYSTEM SHUTDOWN") }}, // the answer may be cut off
		{"SYSTEM KILL", func(int) { _, _ = ask("SYSTEM KILL") }},
		{"kill -9", func(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) }},
	} {
		if _, err := ask(fmt.Sprintf("INSERT INTO t VALUES (%d)", rows)); err != nil {
			t.Fatalf("before %s: %v", tc.how, err)
		}
		rows++
		before := p.PID()
		began := time.Now()
		tc.end(before)
		for {
			pid := p.PID() // first: the one that ends may still answer
			out, err := ask("SELECT count() FROM t")
			if err == nil && pid != before {
				if out != fmt.Sprintln(rows) {
					t.Errorf("after %s the table holds %s of %d rows", tc.how, out, rows)
				}
				break
			}
			if time.Since(began) > patience {
				t.Fatalf("after %s nothing answers", tc.how)
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Logf("%s: %d ms until the next SELECT was answered", tc.how, time.Since(began).Milliseconds())
	}
}
