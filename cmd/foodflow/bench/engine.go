package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
)

const (
	// engineRows are in the table that points are selected from.
	engineRows = 1_000_000
	// engineBatch is how many rows an insert has: the processors' usual batch.
	engineBatch = 50_000
	// engineFor is how long a rate is taken.
	engineFor = 2 * time.Second
)

const (
	engineTable = " (id UInt64, ts DateTime64(3, 'UTC'), value Float64) ENGINE = MergeTree ORDER BY id"
	enginePoint = "SELECT value FROM %s WHERE id = %d FORMAT TabSeparated"
	engineData  = "SELECT number AS id, toDateTime64(1700000000 + number / 1000, 3, 'UTC') AS ts, number / 7 AS value FROM numbers(%d)"
)

// engine measures what the HTTP interface costs beside calls of the engine in this
// process: a row looked up by its key, and batches inserted as Native blocks.
func engine(ctx context.Context, e Env) (map[string]Result, error) {
	lib, err := chdb.Open(e.Library)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(e.Dir, "bare-engine-")
	if err != nil {
		return nil, fmt.Errorf("making folder: %w", err)
	}
	conn, err := lib.Dial(filepath.Join(dir, "store"), []string{"--logger.level=warning"})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	w := &engineWays{ctx: ctx, url: e.ClickHouse, conn: conn}
	for _, s := range []string{"DROP TABLE IF EXISTS points", "DROP TABLE IF EXISTS batches", "CREATE TABLE points" + engineTable, "CREATE TABLE batches" + engineTable, "INSERT INTO points " + fmt.Sprintf(engineData, engineRows)} {
		if err := conn.Do(s); err != nil {
			return nil, err
		}
		if _, err := w.post("", []byte(s)); err != nil {
			return nil, err
		}
	}
	if w.block, _, err = conn.Exec(fmt.Sprintf(engineData, engineBatch), "Native", nil); err != nil {
		return nil, err
	}
	out := map[string]Result{}
	for name, m := range map[string]struct {
		unit      string
		each      float64
		ours, any func(n int) error
	}{
		"engine-point-select": {"statements/s", 1, w.selectHTTP, w.selectBare},
		"engine-insert":       {"rows/s", engineBatch, w.insertHTTP, w.insertBare},
	} {
		var ours, bare []float64
		for range rounds {
			for _, way := range []struct {
				run  func(int) error
				into *[]float64
			}{{m.any, &bare}, {m.ours, &ours}} {
				r, err := perSecond(ctx, way.run)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				*way.into = append(*way.into, r*m.each)
			}
		}
		out[name] = against(median(ours), median(bare), m.unit, "")
	}
	return out, nil
}

// engineWays are the two ways to the engine.
type engineWays struct {
	ctx   context.Context //nolint:containedctx // the benchmark's, for each of its requests
	url   string
	conn  *chdb.Conn
	block []byte
}

func (w *engineWays) selectBare(n int) error {
	out, _, err := w.conn.Exec(fmt.Sprintf(enginePoint, "points", key(n)), "TabSeparated", nil)
	return oneLine(out, err)
}

func (w *engineWays) selectHTTP(n int) error {
	out, err := w.post("", fmt.Appendf(nil, enginePoint, "points", key(n)))
	return oneLine(out, err)
}

func (w *engineWays) insertBare(int) error {
	_, err := w.conn.Insert("INSERT INTO batches", "Native", nil, bytes.NewReader(w.block), &chdb.Buffers{})
	return err
}

func (w *engineWays) insertHTTP(int) error {
	_, err := w.post("query="+url.QueryEscape("INSERT INTO batches FORMAT Native"), w.block)
	return err
}

// key spreads lookups over the table.
func key(n int) int { return n * 7919 % engineRows }

func oneLine(out []byte, err error) error {
	if err == nil && bytes.Count(out, []byte("\n")) != 1 {
		err = fmt.Errorf("looking a row up: got %q", out)
	}
	return err
}

func (w *engineWays) post(params string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.url+"/?"+params, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making request: %w", err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the engine: %w", err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("asking the engine: %d %s", resp.StatusCode, out)
	}
	return out, err
}

// perSecond runs fn for a while and gives calls a second.
func perSecond(ctx context.Context, fn func(n int) error) (float64, error) {
	began := time.Now()
	for n := 1; ; n++ {
		if err := fn(n); err != nil {
			return 0, err
		}
		if took := time.Since(began); took > engineFor {
			return float64(n) / took.Seconds(), ctx.Err()
		}
	}
}
