package main_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/testkit"
)

// TestEverythingThroughPgBouncer runs the whole program behind a PgBouncer in
// transaction mode whose four connections all share: migrations, tenants made by
// command and by route, a plant described and filled, a batch, events, jobs of
// export and deletion, a killed api, doctor, and the relay, which is woken by
// notifications as without it. The control: without the address of Postgres
// itself migrate is refused and says why.
func TestEverythingThroughPgBouncer(t *testing.T) {
	in := install(t)
	direct := testkit.Postgres(t)
	pooled := testkit.PgBouncer(t, direct)
	in.more = []string{"--postgres-url", pooled}
	in.env = []string{"FOODFLOW_POSTGRES_DIRECT_URL=" + direct}
	in.start()
	if in.Postgres != pooled {
		t.Fatalf("the roles are told of %s", in.Postgres)
	}
	in.runsABatch("berry")
	in.tenantLeaves()
	admin := in.login(in.Email, in.Password)
	in.tenantByJob(admin, "cherry")
	in.kill(" api ")
	in.until("the api is back", func() bool {
		time.Sleep(50 * time.Millisecond)
		got, _ := admin.status("GET", "/api/v1/plant-ops/lines")
		return got == http.StatusOK
	})
	in.tenantByJob(admin, "damson")

	gateway := &caller{in: in, key: in.APIKey}
	most := time.Duration(0)
	for i := range 8 {
		key := fmt.Sprint("new-", i)
		admin.do("POST", in.API+"/api/v1/plant-ops/sensors", map[string]any{"key": key, "name": "New", "unit": "degC", "kind": "temperature"}, 201)
		most = max(most, in.until("the sensor is known", func() bool { return gateway.sends(key, time.Now(), 1) == http.StatusAccepted }))
	}
	severities, out, code := in.examine()
	for check, severity := range severities {
		if strings.HasPrefix(check, "postgres.") && severity == "error" {
			t.Errorf("doctor says %s of %s", severity, check)
		}
	}
	if code == 2 {
		t.Errorf("doctor ends with %d: %s", code, out)
	}
	if out, code := in.migrate("FOODFLOW_POSTGRES_URL="+pooled, "FOODFLOW_POSTGRES_DIRECT_URL="+direct); code != 0 || !strings.Contains(out, ", 0 behind") {
		t.Errorf("migrate status ends with %d: %s", code, out)
	}
	if out, code := in.migrate("FOODFLOW_POSTGRES_URL="+pooled, "FOODFLOW_POSTGRES_DIRECT_URL="); code != 1 || !strings.Contains(out, "postgres.direct_url") {
		t.Errorf("the control: without the direct address migrate ends with %d: %s", code, out)
	}
	db, err := pgx.Connect(t.Context(), direct)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	var sessions int
	in.until("Postgres has few sessions", func() bool { // those of commands that have just ended go
		if err := db.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").Scan(&sessions); err != nil {
			t.Fatal(err)
		}
		return sessions <= 8
	})
	t.Logf("behind PgBouncer: a new sensor is known to ingest after %v at most; Postgres has %d sessions, four of them PgBouncer's", most.Round(time.Millisecond), sessions)
	in.stop()
}

// runsABatch makes a tenant by command, describes what a batch needs, and reads
// the batch's events back from the event store and from Kafka.
func (in *installation) runsABatch(key string) {
	in.t.Helper()
	tools(in.t, "curl", "kcat")
	admin, _ := in.newTenant(key, "Berry Foods")
	line := admin.make("plant-ops/lines", `{"key":"jam-1","name":"Jam 1","time_zone":"UTC","unit":"jar"}`)
	product := admin.make("plant-ops/products", `{"key":"jam","name":"Jam","unit":"jar"}`)
	admin.make("plant-ops/batches", fmt.Sprintf(`{"key":"B1","line_id":%q,"product_id":%q,"unit":"jar","planned_quantity":10}`, line, product))
	ops := in.API + "/api/v1/plant-ops/"
	admin.want("200", "POST", ops+"batches/B1/start", "")
	admin.want("200", "POST", ops+"batches/B1/complete", `{"actual_quantity":9,"scrap_quantity":1}`)
	want := []string{"LineCreated", "ProductCreated", "BatchCreated", "BatchStarted", "BatchCompleted"}
	in.until("the events are in the store and on Kafka", func() bool {
		stored, carried := map[string]bool{}, map[string]bool{}
		for _, e := range admin.items("events?limit=100") {
			stored[fmt.Sprint(e["type"])] = true
		}
		for _, kind := range in.onKafka(admin.id) {
			carried[kind] = true
		}
		return !slices.ContainsFunc(want, func(kind string) bool { return !stored[kind] || !carried[kind] })
	})
}

// tenantByJob makes a tenant by the route that answers with a job.
func (in *installation) tenantByJob(admin *caller, key string) {
	in.t.Helper()
	email := "ana@" + key + ".example"
	body := fmt.Sprintf(`{"key":%q,"name":"By job","admin":{"email":%q,"name":"Ana","password":"a long password"}}`, key, email)
	req, err := http.NewRequestWithContext(in.t.Context(), http.MethodPost, in.API+"/api/v1/tenants", strings.NewReader(body))
	if err != nil {
		in.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "respond-async")
	req.Header.Set("Authorization", "Bearer "+admin.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		in.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		in.t.Fatalf("asking for a tenant: %d", resp.StatusCode)
	}
	// Log-ins before the tenant is there would be failures of its account.
	in.until("the tenant is made", func() bool {
		time.Sleep(100 * time.Millisecond)
		return admin.do("GET", in.API+resp.Header.Get("Location"), nil, http.StatusOK)["state"] == "done"
	})
	in.login(email, "a long password")
}

// migrate runs foodflow migrate status with further variables.
func (in *installation) migrate(more ...string) (out string, code int) {
	in.t.Helper()
	var b bytes.Buffer
	cmd := exec.CommandContext(in.t.Context(), in.bin, "migrate", "status")
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), more...), &b, &b
	_ = cmd.Run() // the code says it
	return b.String(), cmd.ProcessState.ExitCode()
}
