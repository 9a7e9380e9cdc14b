package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// made is what tenants create prints.
type made struct {
	ID, Email, Password string
	APIKey              string `json:"api_key"`
}

func (in *installation) tenants(out any, args ...string) {
	in.t.Helper()
	cmd := exec.CommandContext(in.t.Context(), in.bin, append([]string{"tenants"}, args...)...)
	cmd.Env = append(append(os.Environ(), in.env...), "FOODFLOW_POSTGRES_URL="+in.Postgres)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		in.t.Fatalf("tenants %v: %v", args, err)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			in.t.Fatalf("tenants %v: %v: %s", args, err, text)
		}
	}
}

// sends sends one reading and gives the status.
func (c *caller) sends(sensor string, ts time.Time, value float64) int {
	c.in.t.Helper()
	body, err := json.Marshal(map[string]any{"readings": []any{map[string]any{"sensor": sensor, "ts": ts, "value": value}}})
	if err != nil {
		c.in.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(c.in.t.Context(), http.MethodPost, c.in.Ingest+"/v1/readings", strings.NewReader(string(body)))
	if err != nil {
		c.in.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-API-Key", c.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.in.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestTenantLeaves takes a tenant from its first reading to the report of its
// deletion, on the whole program: its readings are in processors' state, its
// rows in every store; then none.
func TestTenantLeaves(t *testing.T) {
	in := install(t)
	in.start()
	in.tenantLeaves()
	in.stop()
}

func (in *installation) tenantLeaves() {
	t := in.t
	t.Helper()
	var acme made
	in.tenants(&acme, "create", "acme", "Acme Foods", "--admin-email", "ana@acme.example", "--json")
	ana := in.login(acme.Email, acme.Password)
	ops := in.API + "/api/v1/plant-ops/"
	line := ana.do("POST", ops+"lines", map[string]any{"key": "jam-1", "name": "Jam 1", "time_zone": "UTC", "unit": "jar"}, 201)
	ana.do("POST", ops+"sensors", map[string]any{"key": "kettle", "name": "Kettle", "unit": "degC", "kind": "temperature", "line_id": line["id"]}, 201)
	gateway := &caller{in: in, key: acme.APIKey}
	base := time.Now().Add(-time.Hour)
	in.until("ingest knows the sensor", func() bool { return gateway.sends("kettle", base, 90) == http.StatusAccepted })
	for i := 1; i < 50; i++ {
		if got := gateway.sends("kettle", base.Add(time.Duration(i)*time.Second), 90); got != http.StatusAccepted {
			t.Fatalf("reading %d: %d", i, got)
		}
	}
	// The last reading is accepted just before the tenant is closed.
	admin := in.login(in.Email, in.Password)
	admin.do("DELETE", in.API+"/api/v1/tenants/acme?confirm=Acme%20Foods", nil, 409)
	admin.do("POST", in.API+"/api/v1/tenants/acme/suspend", nil, 200)
	refused := in.until("ingest refuses", func() bool { return gateway.sends("kettle", base.Add(time.Hour/2), 90) == http.StatusUnauthorized })

	// Some rows are there; the rest is still on its way when the deletion is asked
	// for.
	in.until("rows are there", func() bool {
		return in.query("SELECT count() > 0 FROM foodflow.readings WHERE tenant_id = '"+acme.ID+"'") == "1"
	})
	dir := t.TempDir()
	var archive struct{ Name string }
	in.tenants(&archive, "export", "acme", "--dir", dir, "--clickhouse-url", in.Clickhouse, "--json")
	if info, err := os.Stat(filepath.Join(dir, archive.Name)); err != nil || info.Size() == 0 {
		t.Errorf("archive %s: %v", archive.Name, err)
	}
	admin.do("DELETE", in.API+"/api/v1/tenants/acme?confirm=acme", nil, 422)
	job := admin.do("DELETE", in.API+"/api/v1/tenants/acme?confirm=Acme%20Foods", nil, 202)
	var state map[string]any
	took := in.until("the tenant is gone", func() bool {
		time.Sleep(100 * time.Millisecond) // the API's rate is limited
		state = admin.do("GET", in.API+"/api/v1/jobs/"+fmt.Sprint(job["id"]), nil, 200)
		return state["state"] != "queued" && state["state"] != "running"
	})
	if state["state"] != "done" {
		t.Fatalf("job %v", state)
	}
	admin.do("GET", in.API+"/api/v1/tenants/acme", nil, 404)
	type counted struct{ Before, After int64 }
	var report struct {
		TenantID   string `json:"tenant_id"`
		ClickHouse struct{ Tables map[string]counted }
		Kafka      struct {
			Directory counted
			State     counted `json:"processor_state"`
		}
	}
	in.tenants(&report, "report", acme.ID, "--secret-file", filepath.Join(in.dir, "data", "secret"))
	if n := report.ClickHouse.Tables["readings"]; n.Before < 50 || n.After != 0 || report.Kafka.Directory.Before < 4 || report.Kafka.Directory.After != 0 {
		t.Errorf("report %+v", report)
	}
	told := admin.do("GET", in.API+"/api/v1/tenants/"+acme.ID+"/deletion", nil, 200)
	if told["report"].(map[string]any)["tenant_id"] != acme.ID {
		t.Errorf("the route tells %v", told)
	}
	left := strings.TrimSpace(in.query("SELECT count() FROM foodflow.readings WHERE tenant_id = '" + acme.ID + "'"))
	if left != "0" {
		t.Errorf("%s readings left", left)
	}
	t.Logf("refused by ingest %v after its suspension; deleted in %v; readings %+v, directory %+v, state %+v",
		refused.Round(time.Millisecond), took.Round(time.Millisecond), report.ClickHouse.Tables["readings"], report.Kafka.Directory, report.Kafka.State)
}
