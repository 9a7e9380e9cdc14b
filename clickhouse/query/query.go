package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/internal/fault"
)

// Reader reads. It is safe for concurrent use.
type Reader struct {
	ch      *clickhouse.Client
	timeout time.Duration
}

// New makes a reader whose statements end after timeout, on the server too.
func New(ch *clickhouse.Client, timeout time.Duration) *Reader {
	return &Reader{ch: ch, timeout: timeout}
}

// Ping asks for an answer.
func (r *Reader) Ping(ctx context.Context) error {
	_, err := r.ch.Exec(ctx, "SELECT 1", nil)
	return classify(err)
}

// params are a statement's parameters by name.
type params map[string]any

// rows runs a statement and decodes each row into a T.
func rows[T any](ctx context.Context, r *Reader, statement string, p params) ([]T, error) {
	s := url.Values{
		"default_format": {"JSONEachRow"},
		"output_format_json_quote_64bit_integers": {"0"},
		"max_execution_time":                      {strconv.FormatFloat(r.timeout.Seconds(), 'f', -1, 64)},
		"readonly":                                {"2"}, // may set settings, may not write
		"wait_end_of_query":                       {"1"}, // an error in the middle is an error, not a short list
	}
	for k, v := range p {
		s.Set("param_"+k, escape(fmt.Sprint(v)))
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout+time.Second)
	defer cancel()
	out, err := r.ch.Exec(ctx, statement, s)
	if err != nil {
		return nil, classify(err)
	}
	d := json.NewDecoder(strings.NewReader(out))
	list := []T{}
	for {
		var v T
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading clickhouse's rows: %w", err)
		}
		list = append(list, v)
	}
}

// escape writes a parameter as ClickHouse reads one: as a field of TSV.
func escape(v string) string {
	return strings.NewReplacer("\\", `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\x00", `\0`).Replace(v)
}

// retryAfter is what a client is told when ClickHouse is away.
const retryAfter = 2 * time.Second

func classify(err error) error {
	if err == nil {
		return nil
	}
	if clickhouse.IsTransient(err) && !errors.Is(err, context.Canceled) {
		return fault.NewUnavailable(retryAfter, err, "the readings can't be read now")
	}
	return fmt.Errorf("querying clickhouse: %w", err)
}

// page cuts a list read with one row more than asked for.
func page[T any](list []T, limit int) ([]T, bool) {
	if len(list) > limit {
		return list[:limit], true
	}
	return list, false
}
