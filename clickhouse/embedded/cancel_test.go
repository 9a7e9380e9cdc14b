package embedded_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// endless are statements that would run for hours; a mark in each tells it
// apart in system.processes.
func endless(mark string) map[string]string {
	return map[string]string{
		"one number":         "SELECT count(), '" + mark + "' FROM numbers(1000000000000)",
		"streamed rows":      "SELECT number, '" + mark + "' FROM numbers(1000000000000)",
		"framed":             "SELECT count(), '" + mark + "' FROM numbers(1000000000000) FORMAT JSON",
		"sleeping":           "SELECT sleepEachRow(0.05), '" + mark + "' FROM numbers(100000) SETTINGS max_block_size = 1",
		"in a sub-query":     "SELECT (SELECT count() FROM numbers(1000000000000)), '" + mark + "'",
		"in a set":           "SELECT '" + mark + "' WHERE 1 IN (SELECT number + 2 FROM numbers(1000000000000))",
		"a cross join":       "SELECT count(), '" + mark + "' FROM numbers(1000000) a, numbers(10000000) b",
		"a large state":      "SELECT number % 1000000 AS k, count(), '" + mark + "' FROM numbers(1000000000000) GROUP BY k",
		"native of a client": "SELECT number, '" + mark + "' FROM numbers(1000000000000) FORMAT Native",
	}
}

// running counts the statements with a mark.
func running(tb testing.TB, base, mark string) string {
	tb.Helper()
	return strings.TrimSpace(embeddedtest.Exec(tb, base, "SELECT count() FROM system.processes WHERE position(query, concat('"+mark[:4]+"', '"+mark[4:]+"')) > 0"))
}

// patience is how long a test waits for what must come; only a fault lets it
// pass.
const patience = 2 * time.Minute

// until waits for a condition and says how long that took.
func until(tb testing.TB, limit time.Duration, what string, ok func() bool) time.Duration {
	tb.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if ok() {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			tb.Errorf("%s: not within %v", what, limit)
			return time.Since(began)
		}
	}
}

// start sends a statement and throws its answer away; the channel closes when
// the client has its end.
func start(ctx context.Context, base, params, statement string) <-chan error {
	ended := make(chan error, 1)
	go func() {
		ended <- send(ctx, base, params, statement, io.Discard)
	}()
	return ended
}

func send(ctx context.Context, base, params, statement string, to io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/?"+params, strings.NewReader(statement))
	if err != nil {
		return err
	}
	resp, err := plainly.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, err := io.ReadAll(resp.Body)
		return fmt.Errorf("%d %s %w", resp.StatusCode, b, err)
	}
	_, err = io.Copy(to, resp.Body)
	return err
}

// cancelLimit is how long a statement may live after its client went. The figure,
// which each test prints, is a hundredth of it, but tests share their machine; left
// alone the statements would run for hours.
const cancelLimit = 30 * time.Second

func TestStatementEndsWithItsClient(t *testing.T) {
	base := embeddedtest.Start(t)
	for _, params := range []string{"", "session_id=cancelled"} {
		mark := fmt.Sprintf("mark%d", rand.Uint64())
		for name, statement := range endless(mark) {
			t.Run(name+" "+params, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := start(ctx, base, params+"&client_protocol_version=54460", statement)
				until(t, patience, "the statement runs", func() bool { return running(t, base, mark) == "1" })
				cancel()
				if err := <-ended; err == nil {
					t.Error("the client got a whole answer")
				}
				took := until(t, cancelLimit, "the statement ends", func() bool { return running(t, base, mark) == "0" })
				t.Logf("ended after %v", took.Round(time.Millisecond))
				until(t, patience, "the next statement is answered", func() bool {
					status, out, _ := post(t, base, params, "SELECT 4711")
					if strings.HasPrefix(out, "Code: 373.") {
						return false // its session is given back a moment after the statement has ended
					}
					if status != 200 || out != "4711\n" {
						t.Errorf("the next statement: %d %s", status, out)
					}
					return true
				})
			})
		}
	}
}

// TestCancelsHitNoOther cancels statements at any moment of their lives while
// others run on the same few connections. Those must all be answered, whole and
// with their own answer.
func TestCancelsHitNoOther(t *testing.T) {
	e := embeddedtest.Run(t, t.TempDir(), "-connections", "6", "-queue-wait", patience.String())
	ctx, stop := context.WithCancel(t.Context())
	var good, wrong int
	var mu sync.Mutex
	var others sync.WaitGroup
	for range 3 {
		others.Go(func() {
			for ctx.Err() == nil {
				n := rand.Uint32()
				rows := 1 + rand.IntN(3000)
				var got strings.Builder
				err := send(t.Context(), e.URL, "max_block_size=1000", fmt.Sprintf("SELECT %d, count() FROM (SELECT sleepEachRow(0.0001) FROM numbers(%d))", n, rows), &got)
				mu.Lock()
				good++
				if want := fmt.Sprintf("%d\t%d\n", n, rows); err != nil || got.String() != want {
					wrong++
					t.Errorf("a statement that nobody cancelled: %v, %q, want %q", err, got.String(), want)
				}
				mu.Unlock()
			}
		})
	}
	const cancels = 50
	mark := fmt.Sprintf("mark%d", rand.Uint64())
	var statements []string
	for _, s := range endless(mark) {
		statements = append(statements, s)
	}
	var cancelled sync.WaitGroup
	for i := range cancels {
		cancelled.Go(func() {
			short, cut := context.WithTimeout(t.Context(), time.Duration(rand.IntN(1500))*time.Millisecond)
			defer cut()
			if err := send(short, e.URL, "", statements[i%len(statements)], io.Discard); err == nil {
				t.Error("an endless statement was answered")
			}
		})
	}
	cancelled.Wait()
	took := until(t, cancelLimit, "all cancelled statements end", func() bool { return running(t, e.URL, mark) == "0" })
	stop()
	others.Wait()
	t.Logf("the last of %d ended %v after its client; %d others answered, %d wrong", cancels, took.Round(time.Millisecond), good, wrong)
	if good == 0 {
		t.Error("no other statement ran: the test proves nothing")
	}
}

func TestKilledStatements(t *testing.T) {
	base := embeddedtest.Start(t)
	mark := fmt.Sprintf("mark%d", rand.Uint64())
	for name, statement := range endless(mark) {
		for how, kill := range map[string]string{
			"by its id":   "KILL QUERY WHERE query_id = 'own-" + mark + "'",
			"by its text": "KILL QUERY WHERE position(query, concat('" + mark[:4] + "', '" + mark[4:] + "')) > 0 SYNC",
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
				defer cancel()
				ended := start(ctx, base, "query_id=own-"+mark, statement)
				until(t, patience, "the statement runs", func() bool { return running(t, base, mark) == "1" })
				if err := <-start(ctx, base, "", kill); err != nil {
					t.Error(err)
				}
				took := until(t, cancelLimit, "the statement ends", func() bool { return running(t, base, mark) == "0" })
				if err := <-ended; err == nil {
					t.Error("a killed statement was answered as if whole")
				} else if !strings.Contains(err.Error(), "394") && !strings.Contains(err.Error(), "EOF") {
					t.Errorf("a killed statement: %v", err)
				}
				t.Logf("ended after %v", took.Round(time.Millisecond))
			})
		}
	}
}

func TestTimeLimit(t *testing.T) {
	base := embeddedtest.Start(t)
	mark := fmt.Sprintf("mark%d", rand.Uint64())
	for name, statement := range endless(mark) {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := <-start(ctx, base, "max_execution_time=1&query_id="+url.QueryEscape(name), statement)
			took := time.Since(began)
			if err == nil || took > time.Second+cancelLimit {
				t.Errorf("after %v: %v", took, err)
			} else if !strings.Contains(err.Error(), "159") && !strings.Contains(err.Error(), "EOF") {
				t.Errorf("past its time: %v", err)
			}
			t.Logf("ended after %v: %.90v", took.Round(time.Millisecond), err)
		})
	}
}

// TestStopEndsWhatRuns stops the engine under an endless statement.
func TestStopEndsWhatRuns(t *testing.T) {
	e := embeddedtest.Run(t, t.TempDir(), "-drain", "200ms")
	mark := fmt.Sprintf("mark%d", rand.Uint64())
	ended := start(t.Context(), e.URL, "", endless(mark)["one number"])
	until(t, patience, "the statement runs", func() bool { return running(t, e.URL, mark) == "1" })
	if err := e.Stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if err := <-ended; err == nil {
		t.Error("an endless statement was answered")
	}
}
