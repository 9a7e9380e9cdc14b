package embedded_test

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
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
			err := send(t.Context(), e.URL, params, fmt.Sprintf(
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

type counter int64

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

var _ io.Writer = (*counter)(nil)
