package tenant_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/clickhouse/tenant"
	"github.com/foodflow/foodflow/internal/plant"
)

// copies are clusters that the engine makes of itself: it takes each name for a
// server, so one shard has two replicas, and two shards have one each.
const copies = `<clickhouse><tcp_port>9000</tcp_port><remote_servers>
<replicas><shard><replica><host>127.0.0.1</host><port>9000</port></replica><replica><host>localhost</host><port>9000</port></replica></shard></replicas>
<shards><shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard><shard><replica><host>localhost</host><port>9000</port></replica></shard></shards>
</remote_servers></clickhouse>`

// TestClusterIsCountedWhole asks a real engine: what is counted and written out
// has each row once whatever the replicas, and what proves a deletion has every
// copy. Control: without the cluster's name it sees one server.
func TestClusterIsCountedWhole(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "config.d"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "config.d", "cluster.xml"), []byte(copies), 0o600))
	e := embeddedtest.Run(t, dir)
	id := plant.NewID()
	embeddedtest.Exec(t, e.URL, "CREATE DATABASE it")
	embeddedtest.Exec(t, e.URL, "CREATE TABLE it.x (tenant_id UUID, n Int32) ENGINE = MergeTree PARTITION BY n % 2 ORDER BY tenant_id")
	embeddedtest.Exec(t, e.URL, "INSERT INTO it.x SELECT if(number < 10, toUUID('"+id.String()+"'), generateUUIDv4()), number FROM numbers(30)")
	for cluster, want := range map[string]struct{ count, left int64 }{"": {10, 10}, "replicas": {10, 20}, "shards": {20, 20}} {
		cfg := clickhouse.DefaultConfig()
		cfg.URL, cfg.Database, cfg.Cluster = e.URL, "it", cluster
		ch, err := clickhouse.NewClient(cfg)
		must(t, err)
		r := tenant.New(ch)
		count, err := r.Count(t.Context(), "x", id)
		must(t, err)
		left, err := r.Left(t.Context(), "x", id)
		must(t, err)
		parts, err := r.Partitions(t.Context(), "x", id)
		must(t, err)
		written := int64(0)
		for _, p := range parts {
			var b bytes.Buffer
			n, err := r.Write(t.Context(), "x", p, id, &b)
			must(t, err)
			written += n
		}
		if count != want.count || left != want.left || len(parts) != 2 || written != want.count {
			t.Errorf("cluster %q: %d rows, %d copies, %d partitions, %d written, want %+v", cluster, count, left, len(parts), written, want)
		}
		ch.Close()
	}
}

// TestClusterIsDeletedEverywhere holds the statement, which needs ClickHouse
// Keeper to run, to the engine's parser, and its settings to what makes it wait.
func TestClusterIsDeletedEverywhere(t *testing.T) {
	engine := embeddedtest.Start(t)
	var asked []*http.Request
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r) }))
	defer srv.Close()
	id := plant.NewID()
	for _, cluster := range []string{"", `plant's \own`} {
		cfg := clickhouse.DefaultConfig()
		cfg.URL, cfg.Cluster = srv.URL, cluster
		ch, err := clickhouse.NewClient(cfg)
		must(t, err)
		must(t, tenant.New(ch).Delete(t.Context(), "readings", id))
		ch.Close()
	}
	for i, want := range []string{"ALTER TABLE readings\n", "ALTER TABLE readings ON CLUSTER `plant's \\\\own`\n"} {
		q := asked[i].URL.Query()
		got := embeddedtest.Exec(t, engine, fmt.Sprintf("SELECT formatQuery('%s') FORMAT TSVRaw", strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(q.Get("query"))))
		if !strings.HasPrefix(got, want) || !strings.Contains(got, "toUUID('"+id.String()+"')") || q.Get("mutations_sync") != "2" {
			t.Errorf("%q with mutations_sync %s, want %q…", got, q.Get("mutations_sync"), want)
		}
		if timeout := q.Get("distributed_ddl_task_timeout"); (timeout == "3600") != (i == 1) || i == 1 && q.Get("distributed_ddl_output_mode") != "throw" {
			t.Errorf("%q waits for %q seconds", got, timeout)
		}
	}
}
