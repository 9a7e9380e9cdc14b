package clickhouse_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/internal/testkit/leak"
)

func TestConfigNamesEveryFault(t *testing.T) {
	err := clickhouse.Config{URL: "tcp://x", Compression: "rar"}.Validate()
	if err == nil {
		t.Fatal("a bad configuration passed")
	}
	for _, want := range []string{"clickhouse.url", "clickhouse.database", "clickhouse.compression", "clickhouse.timeout"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: lacks %s", err, want)
		}
	}
}

// TestCompressedInserts: each method brings the same rows.
func TestCompressedInserts(t *testing.T) {
	cfg := clickhouse.DefaultConfig()
	cfg.URL, cfg.Database = embeddedtest.Start(t), embeddedtest.Database(t)
	embeddedtest.Exec(t, cfg.URL, "CREATE TABLE "+cfg.Database+".t (a UInt32) ENGINE = MergeTree ORDER BY a")
	rows := strings.Repeat("7\n", 500_000)
	for _, method := range []string{"none", "lz4", "zstd"} {
		cfg.Compression = method
		c, err := clickhouse.NewClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Send(t.Context(), "INSERT INTO t FORMAT TSV", nil, strings.NewReader(rows), int64(len(rows))); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		if got, err := c.Exec(t.Context(), "SELECT count(), sum(a) FROM t", nil); err != nil || got != "500000\t3500000\n" {
			t.Errorf("%s: %s, %v", method, got, err)
		}
		if _, err := c.Exec(t.Context(), "TRUNCATE TABLE t", nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRefusedBeforeTheEnd: a server that answers without reading gets its say,
// and nothing goes on packing behind it.
func TestRefusedBeforeTheEnd(t *testing.T) {
	before := goleak.IgnoreCurrent()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-ClickHouse-Exception-Code", "60")
		http.Error(w, "Code: 60. DB::Exception: no such table", http.StatusNotFound)
	}))
	cfg := clickhouse.DefaultConfig()
	cfg.URL, cfg.Compression = srv.URL, "zstd"
	c, err := clickhouse.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("x", 1<<20)
	if _, err := c.Send(t.Context(), "INSERT", nil, strings.NewReader(body), int64(len(body))); err == nil || clickhouse.IsTransient(err) {
		t.Errorf("got %v", err)
	}
	srv.Close()
	c.Close()
	leak.None(t, before)
}

// TestTLS: the server's certificate is checked, against the file if one is
// named.
func TestTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("1")) }))
	defer srv.Close()
	srv.Config.ErrorLog = nil
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := clickhouse.DefaultConfig()
	cfg.URL = srv.URL
	for file, trusted := range map[string]bool{"": false, ca: true} {
		cfg.TLS.CA = file
		c, err := clickhouse.NewClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), "SELECT 1", nil); (err == nil) != trusted {
			t.Errorf("ca file %q: %v", file, err)
		}
	}
	cfg.TLS.CA = filepath.Join(t.TempDir(), "none")
	if _, err := clickhouse.NewClient(cfg); err == nil {
		t.Error("a missing file passed")
	}
}
