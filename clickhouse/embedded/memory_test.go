package embedded_test

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// memory gives a figure of /proc/PID/status in MiB.
func memory(tb testing.TB, e *embeddedtest.Engine, name string) int {
	tb.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.PID()))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), name+":")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		tb.Fatal(err)
	}
	return kib >> 10
}

// TestLargeAnswersAreBounded holds the engine's peak memory while it gives a
// large answer in each kind of format: with a frame, in columns, in rows. JSON in
// one piece took 2,300 MiB for ten million rows.
func TestLargeAnswersAreBounded(t *testing.T) {
	rows := 5_000_000
	if n, err := strconv.Atoi(os.Getenv("FOODFLOW_ROWS")); err == nil {
		rows = n
	}
	const bound = 1024 // MiB, of which the idle engine takes 200
	e := embeddedtest.Run(t, t.TempDir())
	for _, format := range []string{"JSON", "JSONCompact", "JSONEachRow", "CSV", "XML", "Parquet", "Arrow", "ArrowStream", "ORC", "Native", "RowBinaryWithNamesAndTypes"} {
		for _, params := range []string{"", "wait_end_of_query=1&buffer_size=1000000"} {
			if params != "" && format != "JSON" {
				continue
			}
			if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", e.PID()), []byte("5"), 0); err != nil {
				t.Skipf("the peak can't be reset: %v", err)
			}
			began := time.Now()
			var n counter
			// Each thread has blocks of its own, so what a large machine takes is more.
			err := send(t.Context(), e.URL, params+"&max_threads=4", fmt.Sprintf(
				"SELECT number AS a, toString(number) AS s, number / 7 AS v, toDateTime64(1700000000 + number, 3, 'UTC') AS ts FROM numbers(%d) FORMAT %s", rows, format), &n)
			if err != nil {
				t.Fatal(err)
			}
			peak := memory(t, e, "VmHWM")
			t.Logf("%s %s: %d rows, %d MiB in %v, peak %d MiB", format, params, rows, n>>20, time.Since(began).Round(time.Millisecond), peak)
			if peak > bound {
				t.Errorf("%s: peak %d MiB, want %d", format, peak, bound)
			}
			if int(n) < rows {
				t.Errorf("%s: %d bytes", format, n)
			}
		}
	}
}

// TestMemoryLimit asks for more than the engine may take, alone and several at
// once: each is refused with ClickHouse's code, the process lives, an insert beside
// them is taken. Its memory passes the bound, because what was freed a moment ago
// still counts as the process's, but stays far below what the statements ask for.
// Control: the same statement is answered where there is more.
func TestMemoryLimit(t *testing.T) {
	const bound = 800                                                          // MiB
	const hungry = "SELECT length(groupArray(number)) FROM numbers(100000000)" // about 1.5 GiB
	e := embeddedtest.Run(t, t.TempDir(), "-max-memory", strconv.Itoa(bound<<20))
	pid := e.PID()
	embeddedtest.Exec(t, e.URL, "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
	for _, many := range []int{1, 4} {
		var ends []<-chan error
		for range many {
			ends = append(ends, start(t.Context(), e.URL, "", hungry))
		}
		for _, end := range ends {
			if err := <-end; err == nil || !strings.Contains(err.Error(), "Code: 241.") {
				t.Errorf("%d at once: %v", many, err)
			}
		}
		until(t, patience, "an insert is taken", func() bool {
			status, out, _ := post(t, e.URL, "", "INSERT INTO t SELECT number FROM numbers(1000)")
			if strings.HasPrefix(out, "Code: 241.") {
				return false // what was freed still counts; a client tries again
			}
			if status != 200 {
				t.Errorf("after %d at once: %d %s", many, status, out)
			}
			return true
		})
	}
	if got := embeddedtest.Exec(t, e.URL, "SELECT count() FROM t"); got != "2000\n" {
		t.Errorf("the table holds %q", got)
	}
	if err := syscall.Kill(pid, 0); err != nil || e.PID() != pid {
		t.Errorf("the process is gone: %v", err)
	}
	peak := memory(t, e, "VmHWM")
	t.Logf("peak %d MiB of %d", peak, bound)
	if peak > 3*bound {
		t.Errorf("peak %d MiB, the bound is %d", peak, bound)
	}
	if status, out, _ := post(t, embeddedtest.Start(t), "", hungry); status != 200 {
		t.Errorf("control: %d %s", status, out)
	}
}

type counter int64

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

var _ io.Writer = (*counter)(nil)
