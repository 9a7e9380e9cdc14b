package ddl

import (
	"strings"
	"testing"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// TestClusterStatements lets the engine parse the statements for a cluster,
// which one machine can't run.
func TestClusterStatements(t *testing.T) {
	cfg := clickhouse.DefaultConfig()
	cfg.URL = embeddedtest.Start(t)
	c, err := clickhouse.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	o := DefaultOptions(8)
	o.Cluster = "plant's `own`"
	list, err := render("food\\flow", o)
	if err != nil || len(list) < 12 {
		t.Fatalf("%d statements, %v", len(list), err)
	}
	for _, s := range list {
		out, err := c.ExecAnywhere(t.Context(), "SELECT formatQuery('"+strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s.text)+"') FORMAT TSVRaw")
		if err != nil {
			t.Fatalf("%s: %v", s.file, err)
		}
		if !strings.Contains(out, "ON CLUSTER") {
			t.Errorf("%s stays on one server:\n%s", s.file, out)
		}
		if strings.Contains(out, "CREATE TABLE") && (!strings.Contains(out, "ENGINE = Replicated") || strings.Contains(out, "non_replicated") || !strings.Contains(out, "replicated_deduplication_window = 14400") || !strings.Contains(out, "replicated_deduplication_window_seconds = 604800")) {
			t.Errorf("%s is not replicated:\n%s", s.file, out)
		}
		if strings.ContainsAny(out, "{}") {
			t.Errorf("%s has something left to fill in:\n%s", s.file, out)
		}
	}
	o.BI = ""
	without, err := render("foodflow", o)
	if err != nil || len(without) != len(list)-4 {
		t.Errorf("without BI %d statements of %d, %v", len(without), len(list), err)
	}
}
