package tenant_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/clickhouse/tenant"
	"github.com/foodflow/foodflow/internal/plant"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// filled is a database in which two tenants have rows in every table.
func filled(t *testing.T, tenants ...plant.ID) (*tenant.Rows, *clickhouse.Client) {
	t.Helper()
	cfg := clickhouse.DefaultConfig()
	cfg.URL, cfg.Database = embeddedtest.Start(t), embeddedtest.Database(t)
	ch, err := clickhouse.NewClient(cfg)
	must(t, err)
	t.Cleanup(ch.Close)
	must(t, ddl.Apply(t.Context(), ch, ddl.DefaultOptions(8)))
	// Two months, whatever the day, and both far from what tables let go of.
	now := time.Now().UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	dates := strings.NewReplacer("{eve}", first.AddDate(0, 0, -2).Format(time.DateTime), "{first}", first.Format(time.DateTime))
	for _, id := range tenants {
		for _, q := range []string{
			"INSERT INTO readings (tenant_id, sensor_id, ts, value, seq) SELECT toUUID('%'), generateUUIDv4(), toDateTime64('{eve}', 3) + number * 600, number, number FROM numbers(1000)",
			"INSERT INTO readings_1m (tenant_id, sensor_id, ts, count, min, max) SELECT toUUID('%'), generateUUIDv4(), toDateTime('{first}') + number * 60, 1, inf, -inf FROM numbers(100)",
			"INSERT INTO line_events (tenant_id, line_id, ts, type) SELECT toUUID('%'), generateUUIDv4(), now64(3), 'count' FROM numbers(10)",
			"INSERT INTO anomalies (tenant_id, sensor_id, ts) SELECT toUUID('%'), generateUUIDv4(), now64(3) FROM numbers(5)",
			"INSERT INTO oee_parts (tenant_id, line_id, minute) SELECT toUUID('%'), generateUUIDv4(), now() FROM numbers(7)",
		} {
			_, err := ch.Exec(t.Context(), strings.ReplaceAll(dates.Replace(q), "%", id.String()), nil)
			must(t, err)
		}
	}
	return tenant.New(ch), ch
}

func TestDeleteTakesOneTenantFromEveryTable(t *testing.T) {
	gone, stays := plant.NewID(), plant.NewID()
	r, ch := filled(t, gone, stays)
	tables, err := r.Tables(t.Context())
	must(t, err)
	for _, want := range []string{"readings", "readings_1m", "readings_1h", "readings_1d", "line_events", "anomalies", "oee_parts"} {
		if !slices.Contains(tables, want) {
			t.Errorf("%s is not among %v", want, tables)
		}
	}
	// A table that came later is found too.
	_, err = ch.Exec(t.Context(), "CREATE TABLE later (tenant_id UUID, x Int32) ENGINE = MergeTree ORDER BY tenant_id", nil)
	must(t, err)
	_, err = ch.Exec(t.Context(), "INSERT INTO later SELECT toUUID('"+gone.String()+"'), number FROM numbers(3)", nil)
	must(t, err)
	tables, err = r.Tables(t.Context())
	must(t, err)
	before := map[string]int64{}
	for _, table := range tables {
		before[table], err = r.Count(t.Context(), table, stays)
		must(t, err)
		n, err := r.Count(t.Context(), table, gone)
		must(t, err)
		if n == 0 {
			t.Errorf("%s holds nothing of the tenant, so deleting proves nothing", table)
		}
		must(t, r.Delete(t.Context(), table, gone))
		must(t, r.Delete(t.Context(), table, gone)) // again, as after a crash
	}
	for _, table := range tables {
		n, err := r.Count(t.Context(), table, gone)
		must(t, err)
		m, err := r.Count(t.Context(), table, stays)
		must(t, err)
		if n != 0 || m != before[table] {
			t.Errorf("%s: %d rows left, the other tenant has %d of %d", table, n, m, before[table])
		}
	}
	out, err := ch.Exec(t.Context(), "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done FORMAT TSV", nil)
	if err != nil || strings.TrimSpace(out) != "0" {
		t.Errorf("mutations under way: %s, %v", out, err)
	}
}

func TestWriteGivesEachRowOnce(t *testing.T) {
	id, other := plant.NewID(), plant.NewID()
	r, _ := filled(t, id, other)
	parts, err := r.Partitions(t.Context(), "readings", id)
	must(t, err)
	if len(parts) != 2 {
		t.Fatalf("partitions %v, want two months", parts)
	}
	seen := map[int64]bool{}
	for _, p := range parts {
		var b bytes.Buffer
		n, err := r.Write(t.Context(), "readings", p, id, &b)
		must(t, err)
		if int64(bytes.Count(b.Bytes(), []byte{'\n'})) != n {
			t.Errorf("%d rows said, %d written", n, bytes.Count(b.Bytes(), []byte{'\n'}))
		}
		for line := range bytes.Lines(b.Bytes()) {
			var row struct {
				Tenant string `json:"tenant_id"`
				Seq    int64  `json:"seq"`
			}
			must(t, json.Unmarshal(line, &row))
			if row.Tenant != id.String() || seen[row.Seq] {
				t.Fatalf("row %s", line)
			}
			seen[row.Seq] = true
		}
	}
	if len(seen) != 1000 {
		t.Errorf("%d rows, want 1000", len(seen))
	}
	var b bytes.Buffer
	parts, err = r.Partitions(t.Context(), "readings_1m", id)
	must(t, err)
	_, err = r.Write(t.Context(), "readings_1m", parts[0], id, &b)
	must(t, err)
	if !strings.Contains(b.String(), `"inf"`) {
		t.Errorf("infinity is lost: %.300s", b.String())
	}
}
