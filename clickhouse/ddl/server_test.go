package ddl_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
)

// TestCheckReadsTheServer plays servers whose version or profile is wrong; the
// tables are right.
func TestCheckReadsTheServer(t *testing.T) {
	var tables strings.Builder
	for _, name := range []string{"readings", "readings_1m", "readings_1h", "readings_1d", "line_events", "anomalies", "oee_parts"} {
		fmt.Fprintf(&tables, `{"name":%q,"engine":"MergeTree","engine_full":"MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 20000"}`+"\n", name)
		if name == "readings_1h" || name == "readings_1d" {
			fmt.Fprintf(&tables, `{"name":"%s_mv","engine":"MaterializedView","create_table_query":"CREATE MATERIALIZED VIEW x TO foodflow.%s (a) AS SELECT"}`+"\n", name, name)
		}
	}
	for name, tc := range map[string]struct{ settings, mode, refuse, want string }{
		"all right":                 {"26.7.2.1\ttrue\ttrue\tfalse", "enable", "", ""},
		"all right, older":          {"24.8.1\ttrue\ttrue\tfalse", "", "", ""},
		"too old":                   {"24.7.9\ttrue\ttrue\tfalse", "", "", "24.7.9 is too old"},
		"no deduplication":          {"26.7\tfalse\ttrue\tfalse", "", "", "insert_deduplicate is false"},
		"none in views":             {"26.7\ttrue\tfalse\tfalse", "", "", "deduplicate_blocks_in_dependent_materialized_views is false"},
		"async inserts":             {"26.7\ttrue\ttrue\ttrue", "", "", "async_insert is true"},
		"overridden":                {"26.7\ttrue\ttrue\tfalse", "disable", "", "deduplicate_insert is disable"},
		"a constraint forbids them": {"", "", "Code: 452. DB::Exception: Setting async_insert should not be changed. (SETTING_CONSTRAINT_VIOLATION)", "should not be changed"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch q := r.URL.Query().Get("query"); {
				case strings.Contains(q, "system.tables"):
					fmt.Fprint(w, tables.String())
				case strings.Contains(q, "system.settings"):
					fmt.Fprintln(w, tc.mode)
				case tc.refuse != "":
					w.Header().Set("X-ClickHouse-Exception-Code", "452")
					http.Error(w, tc.refuse, http.StatusInternalServerError)
				case r.URL.Query().Get("async_insert") != "0":
					http.Error(w, "asked without the settings of an insert", http.StatusBadRequest)
				default:
					fmt.Fprintln(w, tc.settings)
				}
			}))
			defer srv.Close()
			cfg := clickhouse.DefaultConfig()
			cfg.URL = srv.URL
			c, err := clickhouse.NewClient(cfg)
			if err != nil {
				t.Fatal(err)
			}
			err = ddl.Check(t.Context(), c, 8)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || clickhouse.IsTransient(err)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
