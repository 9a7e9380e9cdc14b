package embedded

import (
	"context"
	"fmt"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
)

// progress is how far a statement has come.
type progress struct {
	chdb.Stats
	total, memory uint64
	elapsed       time.Duration
}

// summary is the value of X-ClickHouse-Summary.
func (p progress) summary() string {
	return fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","total_rows_to_read":"%d","result_rows":"%d","result_bytes":"%d","elapsed_ns":"%d","memory_usage":"%d"}`,
		p.ReadRows, p.ReadBytes, p.WrittenRows, p.WrittenBytes, p.total, p.ResultRows, p.ResultBytes, p.elapsed.Nanoseconds(), p.memory)
}

// progress asks the engine for the statement that runs on the connection tag.
func (k *killer) progress(tag string) (p progress, ok bool) {
	k.round.Lock()
	defer k.round.Unlock()
	out, _, err := k.c.Exec("SELECT read_rows, read_bytes, written_rows, written_bytes, total_rows_approx, greatest(memory_usage, 0), toUInt64(elapsed * 1e9) FROM system.processes WHERE Settings['"+tagSetting+"'] = "+quoteText(tag)+" LIMIT 1", "TSVRaw", nil)
	if err != nil {
		k.logger.Debug("asking how far a statement is", "error", err) // its client does without
		return p, false
	}
	n, err := fmt.Sscan(string(out), &p.ReadRows, &p.ReadBytes, &p.WrittenRows, &p.WrittenBytes, &p.total, &p.memory, &p.elapsed)
	return p, err == nil && n > 0
}

// progressEvery is ClickHouse's http_headers_progress_interval_ms, and least is
// what it may be set to here: each report is a statement of its own.
const (
	progressEvery = 100 * time.Millisecond
	progressLeast = 10 * time.Millisecond
)

// follow reports progress in the header until the answer has begun or stop is
// called; after that nothing is under way.
func (a *answer) follow(ctx context.Context, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(max(every, progressLeast))
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if p, ok := a.ask(); ok && !a.report(p) {
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// report sends one header of progress. It says whether another one may follow.
func (a *answer) report(p progress) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.started {
		return false
	}
	if a.live == nil {
		l, err := takeOver(a.w, a.abort)
		if err != nil {
			return false
		}
		a.live, a.w = l, l
	}
	if err := a.live.line("X-ClickHouse-Progress", p.summary()); err != nil {
		a.abort(err)
		return false
	}
	return true
}
