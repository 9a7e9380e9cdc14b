package embedded_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// slow takes two seconds at least, in a hundred blocks.
const slow = "SELECT count(), sum(sleepEachRow(0.02)) FROM numbers(100) SETTINGS max_block_size = 1"

// reported says that enough reports came while the statement ran. A machine that
// stands still for seconds leaves no time for them, whatever the engine does.
func reported(lines []string, at []time.Duration) bool {
	n, first := 0, time.Duration(0)
	for i, line := range lines {
		if strings.HasPrefix(line, "X-ClickHouse-Progress: ") && !strings.Contains(line, `"read_rows":"100"`) {
			if n++; n == 1 {
				first = at[i]
			}
		}
	}
	return n >= 3 && first <= at[len(at)-1]-500*time.Millisecond
}

// ask sends a statement and gives the answer's header line by line, with the time
// at which each came, and its body.
func ask(t *testing.T, base, params, statement string) (lines []string, at []time.Duration, body string) {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	fmt.Fprintf(c, "POST /?%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", params, len(statement), statement)
	r := bufio.NewReader(c)
	var all strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", lines, err)
		}
		all.WriteString(line)
		if line == "\r\n" {
			break
		}
		lines, at = append(lines, strings.TrimSpace(line)), append(at, time.Since(began))
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(all.String()), r)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("body: %v", err)
	}
	return lines, at, string(b)
}

// field is a number of a progress or summary header.
func field(t *testing.T, line, name string) int {
	t.Helper()
	_, text, _ := strings.Cut(line, ": ")
	var all map[string]string
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	n, err := strconv.Atoi(all[name])
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return n
}

// TestProgressHeaders: they come while the statement runs, before anything else of
// the answer is known.
func TestProgressHeaders(t *testing.T) {
	base := embeddedtest.Start(t)
	const asking = "send_progress_in_http_headers=1&http_headers_progress_interval_ms=100"
	lines, at, body := ask(t, base, asking, slow)
	for try := 0; try < 5 && !reported(lines, at); try++ {
		lines, at, body = ask(t, base, asking, slow)
	}
	if lines[0] != "HTTP/1.1 200 OK" || body != "100\t0\n" {
		t.Errorf("%s and %q", lines[0], body)
	}
	var reports, rows []int
	summary := ""
	for i, line := range lines {
		if strings.HasPrefix(line, "X-ClickHouse-Progress: ") && field(t, line, "read_rows") < 100 {
			reports, rows = append(reports, int(at[i].Milliseconds())), append(rows, field(t, line, "read_rows"))
		}
		if strings.HasPrefix(strings.ToLower(line), "x-clickhouse-summary: ") {
			summary = line
		}
	}
	end := int(at[len(at)-1].Milliseconds())
	t.Logf("reports after %v ms with %v rows, the end after %d ms", reports, rows, end)
	if len(reports) < 3 || reports[0] > end-500 {
		t.Errorf("%d reports, the first after %v, the end after %d ms", len(reports), reports, end)
	}
	for i := 1; i < len(rows); i++ {
		if rows[i] < rows[i-1] {
			t.Errorf("rows go back: %v", rows)
		}
	}
	if len(rows) > 0 && rows[len(rows)-1] <= rows[0] {
		t.Errorf("no progress: %v", rows)
	}
	if summary == "" || field(t, summary, "read_rows") != 100 || field(t, summary, "result_rows") != 1 {
		t.Errorf("summary %q", summary)
	}
	// Control: nobody who didn't ask gets any.
	lines, at, _ = ask(t, base, "", slow)
	if text := strings.Join(lines, "\n"); strings.Contains(text, "Progress") || at[0] < time.Second {
		t.Errorf("without asking, after %v: %s", at[0], text)
	}
}

// TestProgressThenException: the status is gone by then, the code is not.
func TestProgressThenException(t *testing.T) {
	base := embeddedtest.Start(t)
	lines, _, body := ask(t, base, "send_progress_in_http_headers=1", strings.Replace(slow, "count()", "sum(throwIf(number = 90, 'broke'))", 1))
	text := strings.Join(lines, "\n")
	for try := 0; try < 5 && !strings.Contains(text, "X-ClickHouse-Progress: "); try++ { // see reported
		lines, _, body = ask(t, base, "send_progress_in_http_headers=1", strings.Replace(slow, "count()", "sum(throwIf(number = 90, 'broke'))", 1))
		text = strings.Join(lines, "\n")
	}
	if !strings.Contains(text, "X-ClickHouse-Progress: ") || !strings.Contains(strings.ToLower(text), "x-clickhouse-exception-code: 395") || !strings.HasPrefix(body, "Code: 395.") {
		t.Errorf("%s\n%s", text, body)
	}
}

// TestProgressOfLargeAnswers: once the body has begun no more come, and the
// summary says how far the statement was.
func TestProgressOfLargeAnswers(t *testing.T) {
	base := embeddedtest.Start(t)
	const statement = "SELECT number, sleepEachRow(0.0000005) FROM numbers(3000000)"
	for _, params := range []string{"send_progress_in_http_headers=1&http_headers_progress_interval_ms=10", "send_progress_in_http_headers=1&wait_end_of_query=1&http_headers_progress_interval_ms=10", "wait_end_of_query=1", ""} {
		lines, _, body := ask(t, base, params, statement)
		if n := strings.Count(body, "\n"); n != 3_000_000 {
			t.Errorf("%s: %d rows", params, n)
		}
		found := false
		for _, line := range lines {
			if strings.HasPrefix(strings.ToLower(line), "x-clickhouse-summary: ") {
				found = true
				n := field(t, line, "read_rows")
				if whole := n == 3_000_000; strings.Contains(params, "wait") != whole || n == 0 {
					t.Errorf("%s: summary %s", params, line)
				}
			}
		}
		if !found {
			t.Errorf("%s: no summary", params)
		}
	}
}

// TestProgressEndsWithItsClient: the connection is no longer the server's own, and
// yet a client that leaves is noticed, and a stop waits for one that stays.
func TestProgressEndsWithItsClient(t *testing.T) {
	e := embeddedtest.Run(t, t.TempDir())
	mark := fmt.Sprintf("mark%d", rand.Uint64())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := start(ctx, e.URL, "send_progress_in_http_headers=1", endless(mark)["one number"])
	until(t, patience, "the statement runs", func() bool { return running(t, e.URL, mark) == "1" })
	time.Sleep(time.Second) // the connection is taken over by then; before it the same must hold
	cancel()
	if err := <-ended; err == nil {
		t.Error("an endless statement was answered")
	}
	until(t, cancelLimit, "the statement ends", func() bool { return running(t, e.URL, mark) == "0" })
	got := make(chan string, 1)
	go func() {
		var b strings.Builder
		if err := send(t.Context(), e.URL, "send_progress_in_http_headers=1", strings.Replace(slow, "numbers(100)", "numbers(250)", 1), &b); err != nil {
			b.WriteString(err.Error())
		}
		got <- b.String()
	}()
	until(t, patience, "it runs", func() bool {
		return embeddedtest.Exec(t, e.URL, "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow(0.02)%'") == "2\n"
	})
	if err := e.Stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if out := <-got; out != "250\t0\n" {
		t.Errorf("a statement under way at the stop: %q", out)
	}
}
