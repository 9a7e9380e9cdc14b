package tenant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Rows are the rows of tenants. It is safe for concurrent use.
type Rows struct{ ch *clickhouse.Client }

// New makes one on a client.
func New(ch *clickhouse.Client) *Rows { return &Rows{ch} }

// Database is where the tables are.
func (r *Rows) Database() string { return r.ch.Database() }

// Tables lists the tables that hold rows of tenants, by name.
func (r *Rows) Tables(ctx context.Context) ([]string, error) {
	return r.list(ctx, `SELECT c.table FROM system.columns AS c INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table
		WHERE c.database = currentDatabase() AND c.name = 'tenant_id' AND t.engine LIKE '%MergeTree' ORDER BY c.table`, nil)
}

// Partitions lists the partitions of a table that hold rows of a tenant.
func (r *Rows) Partitions(ctx context.Context, table string, tenant plant.ID) ([]string, error) {
	return r.list(ctx, "SELECT DISTINCT _partition_id AS p FROM "+r.once(table)+" WHERE tenant_id = {tenant:UUID} ORDER BY p", of(tenant))
}

// Count counts a tenant's rows in a table.
func (r *Rows) Count(ctx context.Context, table string, tenant plant.ID) (int64, error) {
	return r.count(ctx, "SELECT count() FROM "+r.once(table)+" WHERE tenant_id = {tenant:UUID}", of(tenant))
}

// Left counts a tenant's rows in a table on every replica: as often as there are
// copies of them. A server that doesn't answer is an error, no proof.
func (r *Rows) Left(ctx context.Context, table string, tenant plant.ID) (int64, error) {
	s := of(tenant)
	s.Set("skip_unavailable_shards", "0")
	return r.count(ctx, "SELECT count() FROM "+r.on("clusterAllReplicas", table)+" WHERE tenant_id = {tenant:UUID}", s)
}

// once is a table with each of its rows once: one replica of each shard.
func (r *Rows) once(table string) string { return r.on("cluster", table) }

// on is a table by way of a function of clusters; on one server, itself.
func (r *Rows) on(function, table string) string {
	if r.ch.Cluster() == "" {
		return quote(table)
	}
	return function + "(" + literal(r.ch.Cluster()) + ", " + literal(r.ch.Database()) + ", " + literal(table) + ")"
}

// Write writes a tenant's rows of a partition to w as lines of JSON, and gives
// how many. Rows that come meanwhile may be among them.
func (r *Rows) Write(ctx context.Context, table, partition string, tenant plant.ID, w io.Writer) (int64, error) {
	where := " FROM " + r.once(table) + " WHERE tenant_id = {tenant:UUID} AND _partition_id = {partition:String}"
	s := of(tenant)
	s.Set("param_partition", partition)
	atLeast, err := r.count(ctx, "SELECT count()"+where, s)
	if err != nil {
		return 0, err
	}
	s.Set("output_format_json_quote_64bit_integers", "0")
	s.Set("output_format_json_quote_denormals", "1") // the smallest of no value is "inf", not null
	lines := &lineCounter{w: w}
	if err := r.ch.Stream(ctx, "SELECT *"+where+" FORMAT JSONEachRow", s, lines); err != nil {
		return 0, classify(fmt.Errorf("reading %s: %w", table, err))
	}
	if lines.n < atLeast || lines.last != '\n' && lines.n > 0 {
		return 0, fmt.Errorf("reading %s: the answer broke off after %d of %d rows", table, lines.n, atLeast)
	}
	return lines.n, nil
}

// clusterPatience is how long the servers of a cluster may take to delete rows,
// in seconds: a mutation writes every part anew that holds some.
const clusterPatience = "3600"

// Delete removes a tenant's rows from a table, on every server of a cluster, and
// waits until that is done.
func (r *Rows) Delete(ctx context.Context, table string, tenant plant.ID) error {
	// An id has only hexadecimal digits and dashes; a mutation is stored as text
	// and takes no parameters.
	s, on := url.Values{"mutations_sync": {"2"}}, ""
	if c := r.ch.Cluster(); c != "" {
		on = " ON CLUSTER " + literal(c)
		s.Set("distributed_ddl_task_timeout", clusterPatience)
		s.Set("distributed_ddl_output_mode", "throw")
	}
	if err := r.ch.Stream(ctx, "ALTER TABLE "+quote(table)+on+" DELETE WHERE tenant_id = toUUID('"+tenant.String()+"')", s, io.Discard); err != nil {
		return classify(fmt.Errorf("deleting from %s: %w", table, err))
	}
	return nil
}

func of(tenant plant.ID) url.Values { return url.Values{"param_tenant": {tenant.String()}} }

func quote(table string) string { return "`" + strings.ReplaceAll(table, "`", "") + "`" }

func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

func (r *Rows) list(ctx context.Context, statement string, s url.Values) ([]string, error) {
	out, err := r.ch.Exec(ctx, statement+" FORMAT TSV", s)
	if err != nil {
		return nil, classify(fmt.Errorf("asking for a tenant's rows: %w", err))
	}
	return strings.Fields(out), nil
}

func (r *Rows) count(ctx context.Context, statement string, s url.Values) (int64, error) {
	out, err := r.ch.Exec(ctx, statement+" FORMAT TSV", s)
	if err != nil {
		return 0, classify(fmt.Errorf("counting a tenant's rows: %w", err))
	}
	n, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("counting a tenant's rows: %w", err)
	}
	return n, nil
}

// lineCounter counts the lines that pass.
type lineCounter struct {
	w    io.Writer
	n    int64
	last byte
}

func (c *lineCounter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(bytes.Count(p[:n], []byte{'\n'}))
	if n > 0 {
		c.last = p[n-1]
	}
	return n, err
}

// retryAfter is how long who needs ClickHouse waits when it is away.
const retryAfter = 2 * time.Second

func classify(err error) error {
	if clickhouse.IsTransient(err) && !errors.Is(err, context.DeadlineExceeded) {
		return fault.NewUnavailable(retryAfter, err, "the results can't be reached now")
	}
	return err
}
