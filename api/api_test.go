package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/api/auth"
	"github.com/foodflow/foodflow/api/live"
	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/password"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/tenancy"
	"github.com/foodflow/foodflow/internal/testkit"
	"github.com/foodflow/foodflow/schemas"
)

// world is an API on a real Postgres with two tenants: demo, which also runs
// the installation, and rival.
type world struct {
	t        testing.TB
	s        *Server
	db       *postgres.DB
	m        *migrate.Migrator
	dir      *directory.Store
	seed     masterdata.Seed
	read     *fakeReadings
	rec      *fakeRecorder
	logs     *safeBuffer
	cfg      postgres.Config
	hasher   *password.Hasher
	jobs     *job.Service // not started: a test that needs the work done does
	exported func(*job.Run) any

	adminToken string // of the last call of admin
}

const rivalAdmin, rivalPassword = "admin@rival.example", "rival-password"

func newWorld(t testing.TB) *world {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL = testkit.Postgres(t)
	return newWorldOn(t, cfg, cfg.URL)
}

// newWorldOn is newWorld on a database that migrations reach directly.
func newWorldOn(t testing.TB, pc postgres.Config, direct string) *world {
	t.Helper()
	pc.Acquire = time.Minute // on a machine that does other things
	w := emptyWorld(t, pc)
	mc := migrate.DefaultConfig()
	mc.URL = direct
	log := slog.New(slog.NewJSONHandler(w.logs, nil))
	m, err := migrate.New(mc, log)
	must(t, err)
	must(t, m.Shared(t.Context()))
	w.m = m
	w.open(func(store *masterdata.Store) {
		w.seed = masterdata.Seed{Password: "demo-password", Key: directory.NewKey()}
		_, err = store.SeedDemo(t.Context(), m, w.hasher, w.seed)
		must(t, err)
		hash, err := w.hasher.Hash(t.Context(), rivalPassword)
		must(t, err)
		_, err = store.Provision(t.Context(), m, masterdata.NewTenant{Key: "rival", Name: "Rival", Admin: masterdata.User{UserFields: masterdata.UserFields{Email: rivalAdmin, Name: "R"}, Hash: hash}})
		must(t, err)
	})
	return w
}

func emptyWorld(t testing.TB, pc postgres.Config) *world {
	return &world{t: t, cfg: pc, dir: directory.NewStore(), read: &fakeReadings{}, rec: &fakeRecorder{}, logs: &safeBuffer{}, hasher: password.New(2, 10*time.Second)}
}

// open makes the API on the database of cfg, in which fill has put the tenants.
func (w *world) open(fill func(*masterdata.Store)) {
	t, m, log := w.t, w.m, slog.New(slog.NewJSONHandler(w.logs, nil))
	t.Helper()
	db, err := postgres.Open(context.Background(), w.cfg)
	must(t, err)
	w.db = db
	t.Cleanup(w.db.Close)
	store := masterdata.New(w.db, time.Now)
	fill(store)
	secret := bytes.Repeat([]byte{7}, 32)
	ac := auth.DefaultConfig()
	ac.Secret = secret
	keys, err := auth.NewKeys(ac, store, log, time.Now)
	must(t, err)
	must(t, keys.Load(t.Context()))
	jc := job.DefaultConfig()
	jc.Poll = 50 * time.Millisecond
	w.jobs, err = job.New(jc, w.db, []job.Kind{tenancy.ProvisionKind(store, m), {Name: tenancy.KindExport, Steps: w.work()}, {Name: tenancy.KindDelete, Steps: w.work()}}, nil, log)
	must(t, err)
	cfg := DefaultConfig()
	cfg.Secret, cfg.Archives, cfg.OperatorTenant, cfg.Rate, cfg.Burst = secret, t.TempDir(), demo.TenantKey, 1e6, 1e6
	codec, err := schemas.NewStaticCodec()
	must(t, err)
	// Not run: only the tests of the stream have a Kafka.
	hub, err := live.New(live.DefaultConfig(), broker.Config{}, codec, w.dir, nil, log)
	must(t, err)
	w.s, err = New(cfg, Deps{
		Live:  hub,
		Store: store, Directory: w.dir, Auth: auth.New(ac, keys, store, w.dir, w.hasher, log, time.Now),
		Readings: w.read, Recorder: w.rec, Provisioner: m, Jobs: w.jobs, Logger: log, Now: time.Now,
	})
	must(t, err)
	w.sync()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sync does the relay's and the follower's work: it applies the outbox to the
// directory.
func (w *world) sync() {
	w.t.Helper()
	must(w.t, w.db.InShared(w.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT kind, tenant_id, subject_kind, subject_id, version, data::text FROM outbox WHERE kind <> 'event' ORDER BY id")
		if err != nil {
			return err
		}
		var kind string
		var e schemas.DirectoryEntry
		_, err = pgx.ForEachRow(rows, []any{&kind, &e.Tenant, &e.Kind, &e.ID, &e.Version, &e.Data}, func() error {
			if kind == "tombstone" {
				return w.dir.Remove(string(e.Key()))
			}
			return w.dir.Apply(&e)
		})
		return err
	}))
}

// dump gives the rows of a query in the demo tenant's schema, as text.
func (w *world) dump(q string) string {
	w.t.Helper()
	var b strings.Builder
	must(w.t, w.db.InTenant(w.t.Context(), demo.TenantID(), func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, q)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			v, err := rows.Values()
			if err != nil {
				return err
			}
			fmt.Fprintln(&b, v...)
		}
		return rows.Err()
	}))
	return b.String()
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("status %d, body %s: %v", a.status, a.body, err)
	}
	return v
}

// call sends a request; credential is a token, an API key or "". More are
// header names and values by turns.
func (w *world) call(credential, method, path string, body any, more ...string) answer {
	w.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		must(w.t, err)
		in = bytes.NewReader(text)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, path, in)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	switch {
	case strings.HasPrefix(credential, "ff_"):
		r.Header.Set("X-API-Key", credential)
	case credential != "":
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	rec := httptest.NewRecorder()
	var out http.ResponseWriter = rec
	if strings.HasPrefix(path, streamPath) { // has no end of its own
		out = begun{rec, cancel}
	}
	w.s.Handler().ServeHTTP(out, r)
	a := answer{rec.Code, rec.Result().Header, rec.Body.Bytes()}
	w.conforms(method, path, a)
	return a
}

// begun is an answer whose reader goes once it has begun.
type begun struct {
	*httptest.ResponseRecorder
	leave context.CancelFunc
}

// WriteHeader begins the answer.
func (b begun) WriteHeader(status int) {
	b.ResponseRecorder.WriteHeader(status)
	b.leave()
}

func (w *world) login(email, pass string) (access, refresh string) {
	w.t.Helper()
	a := w.call("", http.MethodPost, "/api/v1/auth/login", map[string]string{"email": email, "password": pass})
	if a.status != http.StatusOK {
		w.t.Fatalf("log-in: %d %s", a.status, a.body)
	}
	v := a.json(w.t)
	return v["access_token"].(string), v["refresh_token"].(string)
}

func (w *world) admin() string {
	w.t.Helper()
	w.adminToken, _ = w.login(demo.AdminEmail, w.seed.Password)
	return w.adminToken
}

func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

type safeBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestHealthAndInfo(t *testing.T) {
	w := newWorld(t)
	if got := w.call("", "GET", "/health", nil).want(t, 200).json(t); got["status"] != "ok" {
		t.Errorf("health %v", got)
	}
	w.read.err = fmt.Errorf("away")
	if got := w.call("", "GET", "/health", nil).want(t, 200).json(t); got["status"] != "degraded" {
		t.Errorf("health %v", got)
	}
	if got := w.call("", "GET", "/", nil).want(t, 200).json(t); got["name"] != "FoodFlow" {
		t.Errorf("info %v", got)
	}
	if got := w.call("", "GET", "/api/openapi.json", nil).want(t, 200).json(t); got["openapi"] != "3.1.0" {
		t.Errorf("openapi %v", got["openapi"])
	}
}

// TestResourceLife takes a sensor from its making to its end.
func TestResourceLife(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	in := map[string]any{"key": "new-one", "name": "New", "unit": "degC", "kind": "temperature", "h": 5.5}
	made := w.call(token, "POST", "/api/v1/plant-ops/sensors", in).want(t, 201)
	id := made.json(t)["id"].(string)
	if made.header.Get("ETag") != `"1"` || !strings.HasSuffix(made.header.Get("Location"), id) {
		t.Errorf("headers %v", made.header)
	}
	one := "/api/v1/plant-ops/sensors/" + id
	w.call(token, "POST", "/api/v1/plant-ops/sensors", in).want(t, 409)
	w.call(token, "GET", "/api/v1/plant-ops/sensors/new-one", nil).want(t, 200)
	w.call(token, "PATCH", one, map[string]any{"name": "x"}).want(t, 428)
	w.call(token, "PATCH", one, map[string]any{"name": "x"}, "If-Match", `"9"`).want(t, 412)
	w.call(token, "PATCH", one, map[string]any{"id": plant.NewID()}, "If-Match", `"1"`).want(t, 422)
	w.call(token, "PATCH", one, map[string]any{"name": 5}, "If-Match", `"1"`).want(t, 422)
	w.call(token, "PATCH", one, "[]", "If-Match", `"1"`).want(t, 400)
	got := w.call(token, "PATCH", one, map[string]any{"name": "Newer", "h": nil}, "If-Match", `"1"`).want(t, 200)
	if v := got.json(t); v["name"] != "Newer" || v["h"] != nil || v["version"] != 2.0 || v["unit"] != "degC" || got.header.Get("ETag") != `"2"` {
		t.Errorf("after the patch %v", v)
	}
	w.call(token, "DELETE", one, nil).want(t, 428)
	w.call(token, "DELETE", one, nil, "If-Match", `"2"`).want(t, 204)
	w.call(token, "GET", one, nil).want(t, 404)
	events := w.call(token, "GET", "/api/v1/events?aggregate_id="+id, nil).want(t, 200).json(t)["items"].([]any)
	if len(events) != 3 || events[0].(map[string]any)["type"] != "SensorDeleted" {
		t.Errorf("events %v", events)
	}
}

func TestBatchLife(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	in := map[string]any{"key": "B-1", "line_id": demo.ID("line", demo.Bottling), "product_id": demo.ID("product", "water-500"), "unit": "bottle", "planned_quantity": 1000}
	w.call(token, "POST", "/api/v1/plant-ops/batches", in).want(t, 201)
	one := "/api/v1/plant-ops/batches/B-1"
	w.call(token, "POST", one+"/complete", map[string]any{"actual_quantity": 1, "scrap_quantity": 0}).want(t, 409)
	if text := string(w.call(token, "GET", one+"/oee", nil).want(t, 409).body); !strings.Contains(text, "planned and has not run") {
		t.Errorf("no reason in %s", text)
	}
	w.call(token, "POST", one+"/start", nil).want(t, 200)
	if text := string(w.call(token, "POST", one+"/start", nil).want(t, 409).body); !strings.Contains(text, "a batch that is running can't become running") {
		t.Errorf("no reason in %s", text)
	}
	w.call(token, "GET", one+"/oee", nil).want(t, 200)
	w.call(token, "PATCH", one, map[string]any{"product_id": demo.ID("product", "toast-500")}, "If-Match", "*").want(t, 422)
	got := w.call(token, "POST", one+"/complete", map[string]any{"actual_quantity": 900, "scrap_quantity": 100, "labour_cost": 450}).want(t, 200).json(t)
	f := got["figures"].(map[string]any)
	w.read.parts = []query.OEEParts{{PlannedBusy: 60_000, Run: 30_000, Running: 30_000, Breakdown: 30_000, Total: 10, Good: 9, Scrap: 1, IdealTotal: 20_000, IdealGood: 18_000, Units: "bottle"}}
	run := w.call(token, "GET", one+"/oee", nil).want(t, 200).json(t)
	started, err := time.Parse(time.RFC3339, got["started_at"].(string))
	must(t, err)
	if q := w.read.oee; q.From != started.UnixMilli()/minuteMS*minuteMS || q.To <= q.From || q.Line != demo.ID("line", demo.Bottling) || q.Tenant != demo.TenantID() {
		t.Errorf("asked for %+v", q)
	}
	if fmt.Sprint(run["oee"].(map[string]any)["figures"].(map[string]any)["oee"]) != "0.3" || run["batch_figures"].(map[string]any)["yield"] != 0.9 || run["losses"].(map[string]any)["breakdown_ms"] != 30000.0 {
		t.Errorf("run %v", run)
	}
	if got["state"] != "completed" || f["yield"] != 0.9 || f["scrap_rate"] != 0.1 || f["unit_cost"] != 0.5 {
		t.Errorf("completed %v", got)
	}
}

func TestPagesAndCursors(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	seen := map[string]bool{}
	path, pages := "/api/v1/plant-ops/sensors?limit=10&sort=-key", 0
	first := ""
	for next := path; ; pages++ {
		v := w.call(token, "GET", next, nil).want(t, 200).json(t)
		for _, x := range v["items"].([]any) {
			seen[x.(map[string]any)["key"].(string)] = true
		}
		c, more := v["next_cursor"].(string)
		if !more {
			break
		}
		if first == "" {
			first = c
		}
		next = path + "&cursor=" + c
	}
	if len(seen) != 28 || pages != 2 {
		t.Errorf("%d sensors on %d pages", len(seen), pages+1)
	}
	rival, _ := w.login(rivalAdmin, rivalPassword)
	changed := "A" + first[1:]
	if changed == first {
		changed = "B" + first[1:]
	}
	for name, c := range map[string]struct{ token, path string }{
		"other sort":   {token, "/api/v1/plant-ops/sensors?limit=10&sort=key&cursor=" + first},
		"other filter": {token, "/api/v1/plant-ops/sensors?sort=-key&kind=flow&cursor=" + first},
		"other route":  {token, "/api/v1/plant-ops/lines?sort=-key&cursor=" + first},
		"other tenant": {rival, "/api/v1/plant-ops/sensors?sort=-key&cursor=" + first},
		"changed":      {token, "/api/v1/plant-ops/sensors?sort=-key&cursor=" + changed},
	} {
		if a := w.call(c.token, "GET", c.path, nil); a.status != 400 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestReadingsPages(t *testing.T) {
	w := newWorld(t)
	latest := func() any {
		return w.call(w.seed.Key.Reveal(), "GET", opsPath+"sensors/"+demo.MachineTemperature+"/readings/latest", nil).want(t, 200).json(t)["reading"]
	}
	if got := latest(); got != nil {
		t.Errorf("the latest of none is %v", got)
	}
	defer func() {
		if got, ok := latest().(map[string]any); !ok || got["value"] != 4.0 {
			t.Errorf("the latest is %v", got)
		}
	}()
	for i := range 5 {
		w.read.raw = append(w.read.raw, query.Reading{TS: 1_800_000_000_000 + int64(i), Value: float64(i), Quality: "good", Seq: plant.NoSeq, Offset: int64(i)})
	}
	key := w.seed.Key.Reveal()
	path := "/api/v1/plant-ops/sensors/" + demo.MachineTemperature + "/readings?resolution=raw&limit=2"
	var values []float64
	for next, until := path, int64(0); ; {
		v := w.call(key, "GET", next, nil).want(t, 200).json(t)
		for _, x := range v["items"].([]any) {
			values = append(values, x.(map[string]any)["value"].(float64))
		}
		if until != 0 && w.read.last.To != until {
			t.Error("the span moved between pages")
		}
		until = w.read.last.To
		c, more := v["next_cursor"].(string)
		if !more {
			break
		}
		next = path + "&cursor=" + c
	}
	if fmt.Sprint(values) != "[0 1 2 3 4]" {
		t.Errorf("values %v", values)
	}
	for _, bad := range []string{"from=yesterday", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "resolution=2m", "limit=0", "limit=x", "to=99999999999999999"} {
		if a := w.call(key, "GET", "/api/v1/plant-ops/sensors/"+demo.MachineTemperature+"/readings?"+bad, nil); a.status != 422 {
			t.Errorf("%s: %d", bad, a.status)
		}
	}
	w.call(key, "GET", "/api/v1/plant-ops/sensors/none/readings", nil).want(t, 404)
}

func TestOEEFigures(t *testing.T) {
	w := newWorld(t)
	// Worked example A of oee.md.
	const minute = 60_000
	w.read.parts = []query.OEEParts{{PlannedBusy: 420 * minute, Run: 373 * minute, Running: 373 * minute, Breakdown: 47 * minute, IdealTotal: 19_271 * 1000, IdealGood: 18_848 * 1000, Total: 19_271, Good: 18_848, Scrap: 423, Units: "bottle", Policies: "1"}}
	item := func(path string) map[string]any {
		v := w.call(w.seed.Key.Reveal(), "GET", "/api/v1/plant-ops/lines/bottling-1/"+path, nil).want(t, 200).json(t)
		return v["items"].([]any)[0].(map[string]any)
	}
	f := item("oee")["figures"].(map[string]any)
	for name, want := range map[string]string{"availability": "0.8881", "performance": "0.8611", "quality": "0.9780", "oee": "0.7479"} {
		if got := fmt.Sprintf("%.4f", f[name]); got != want {
			t.Errorf("%s %s, want %s", name, got, want)
		}
	}
	l := item("losses")
	sum := 0.0
	for _, k := range []string{"breakdown_ms", "setup_ms", "minor_stop_ms", "reduced_speed_ms", "process_rejects_ms", "startup_rejects_ms", "other_ms"} {
		sum += l[k].(float64)
	}
	if sum != l["total_ms"] || l["other_ms"] != 0.0 {
		t.Errorf("losses %v sum to %v", l, sum)
	}
	w.read.parts = []query.OEEParts{{Total: 5, Good: 5}}
	f = item("oee")["figures"].(map[string]any)
	if f["oee"] != nil || f["performance"] != nil || f["quality"] != 1.0 || f["reasons"].(map[string]any)["oee"] == "" {
		t.Errorf("figures of nothing %v", f)
	}
	if x := item("ledger"); x["known_ms"] != 0.0 {
		t.Errorf("ledger %v", x)
	}
}
