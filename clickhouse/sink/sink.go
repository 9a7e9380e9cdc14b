package sink

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/telemetry"
)

// Sink inserts blocks. It is safe for concurrent use.
type Sink struct {
	client   *clickhouse.Client
	rows     *prometheus.CounterVec
	failures *prometheus.CounterVec
	duration prometheus.Histogram
}

// New makes a sink on a client.
func New(c *clickhouse.Client, reg prometheus.Registerer) *Sink {
	s := &Sink{
		client:   c,
		rows:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_sink_rows_total", Help: "Rows in inserts that ClickHouse acknowledged, repetitions included."}, []string{"table"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_sink_insert_failures_total", Help: "Inserts that ClickHouse refused or whose outcome is unknown."}, []string{"kind"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "foodflow_sink_insert_duration_seconds", Help: "Time of one insert.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)}),
	}
	for _, t := range []string{"readings", "readings_1m", "line_events", "anomalies", "oee_parts"} {
		s.rows.WithLabelValues(t)
	}
	s.failures.WithLabelValues("transient")
	s.failures.WithLabelValues("permanent")
	if reg != nil {
		reg.MustRegister(s.rows, s.failures, s.duration)
	}
	return s
}

// Insert sends a block under a token. After an error for which
// clickhouse.IsTransient holds, the same call may be made again.
func (s *Sink) Insert(ctx context.Context, b Block, token string) error {
	if b.Rows() == 0 {
		return nil
	}
	if err := fault.Point("sink.before_insert"); err != nil {
		return err
	}
	ctx, span := telemetry.Start(ctx, "insert")
	span.Text("db.system.name", "clickhouse")
	span.Text("db.collection.name", b.Table())
	span.Int("db.operation.batch.size", b.Rows())
	began := time.Now()
	cols := b.columns()
	names := make([]string, len(cols))
	body, size := assemble(cols, b.Rows())
	for i, c := range cols {
		names[i] = c.name
	}
	_, err := s.client.Send(ctx, "INSERT INTO "+b.Table()+" ("+strings.Join(names, ", ")+") FORMAT Native", clickhouse.InsertSettings(token), body, size)
	span.End(err)
	s.duration.Observe(time.Since(began).Seconds())
	if err != nil {
		kind := "permanent"
		if clickhouse.IsTransient(err) {
			kind = "transient"
		}
		s.failures.WithLabelValues(kind).Inc()
		return fmt.Errorf("inserting %d rows into %s: %w", b.Rows(), b.Table(), err)
	}
	s.rows.WithLabelValues(b.Table()).Add(float64(b.Rows()))
	return fault.Point("sink.after_insert")
}

// assemble strings the columns together without copying their data.
func assemble(cols []*column, rows int) (io.Reader, int64) {
	heads := make([]byte, 0, 64*(len(cols)+1))
	ends := make([]int, len(cols))
	heads = appendBlockHead(heads, len(cols), rows)
	for i, c := range cols {
		heads = appendColumnHead(heads, c)
		ends[i] = len(heads)
	}
	size := int64(len(heads))
	parts := make([]io.Reader, 0, 3*len(cols)+1)
	from := 0
	for i, c := range cols {
		if i == len(cols)/2 {
			parts = append(parts, midway{})
		}
		parts = append(parts, strings.NewReader(string(heads[from:ends[i]])), &slab{c.data}, &slab{c.more})
		from = ends[i]
		size += int64(len(c.data) + len(c.more))
	}
	return io.MultiReader(parts...), size
}

// midway is the point in the middle of an insert: some columns are on their way.
type midway struct{}

// Read gives nothing.
func (midway) Read([]byte) (int, error) {
	if err := fault.Point("sink.in_insert"); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// slab reads a column's bytes, and writes them in one call where it can.
type slab struct{ b []byte }

// Read copies from the column.
func (s *slab) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.b)
	s.b = s.b[n:]
	return n, nil
}

// WriteTo writes the rest of the column at once.
func (s *slab) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(s.b)
	s.b = s.b[n:]
	return int64(n), err
}
