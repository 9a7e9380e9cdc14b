package masterdata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/password"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

// fixture is a store on a database with the shared schema.
type fixture struct {
	*Store
	m *migrate.Migrator
	t testing.TB
}

func newFixture(t testing.TB) fixture {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL = testkit.Postgres(t)
	mc := migrate.DefaultConfig()
	mc.URL = cfg.URL
	m, err := migrate.New(mc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Shared(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return fixture{New(db, time.Now), m, t}
}

func (f fixture) tenant(key string) Actor {
	f.t.Helper()
	admin := User{UserFields: UserFields{Email: "admin@" + key + ".example", Name: "Admin"}, Hash: "x"}
	t, err := f.Provision(f.t.Context(), f.m, NewTenant{Key: key, Name: key, Admin: admin})
	if err != nil {
		f.t.Fatal(err)
	}
	return Actor{Tenant: t.ID, Name: "test"}
}

func (f fixture) sensor(who Actor, key string) *Sensor {
	f.t.Helper()
	return f.sensorOn(who, key, nil)
}

func (f fixture) sensorOn(who Actor, key string, line *plant.ID) *Sensor {
	f.t.Helper()
	x := &Sensor{SensorFields: SensorFields{Key: key, Name: key, Unit: "degC", Kind: "temperature", LineID: line}}
	if err := f.Sensors().Create(f.t.Context(), who, x); err != nil {
		f.t.Fatal(err)
	}
	return x
}

func TestChangeIsStoredAnnouncedAndAudited(t *testing.T) {
	f := newFixture(t)
	who := f.tenant("acme")
	x := f.sensor(who, "oven")
	got, err := f.Sensors().Update(t.Context(), who, "oven", 1, func(x *Sensor) error { x.Name = "Oven"; return nil })
	if err != nil || got.Version != 2 || got.Name != "Oven" {
		t.Fatalf("update: %+v, %v", got, err)
	}
	if err := f.Sensors().Delete(t.Context(), who, x.ID.String(), 2); err != nil {
		t.Fatal(err)
	}
	events, _, err := f.Events(t.Context(), who.Tenant, EventFilter{Aggregate: x.ID, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, e := range events {
		types = append(types, fmt.Sprint(e.Seq, e.Type))
	}
	if got := strings.Join(types, " "); got != "3SensorDeleted 2SensorUpdated 1SensorCreated" {
		t.Errorf("events %s", got)
	}
	var kinds []string
	if err := f.db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT kind FROM outbox WHERE subject_id = $1 ORDER BY id", x.ID)
		if err != nil {
			return err
		}
		kinds, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(kinds, " "); got != "directory event directory event tombstone event" {
		t.Errorf("outbox %s", got)
	}
	rows, broken, err := f.VerifyAudit(t.Context(), who.Tenant)
	if err != nil || broken != 0 || rows < 5 {
		t.Errorf("audit: %d rows, broken at %d, %v", rows, broken, err)
	}
}

// TestTenantsRoleCantMoveItsHeadBack: what lies outside of the tenant's schema
// only grows, and is no other tenant's to see.
func TestTenantsRoleCantMoveItsHeadBack(t *testing.T) {
	f := newFixture(t)
	who, other := f.tenant("acme"), f.tenant("other")
	f.sensor(who, "s")
	for _, q := range []string{"UPDATE foodflow.audit_heads SET seq = 1", "DELETE FROM foodflow.audit_heads", "UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log"} {
		if err := f.db.InTenant(t.Context(), who.Tenant, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, q)
			return err
		}); err == nil {
			t.Errorf("%s: done", q)
		}
	}
	if err := f.db.InTenant(t.Context(), other.Tenant, func(ctx context.Context, tx pgx.Tx) error {
		var n int
		err := tx.QueryRow(ctx, "SELECT count(*) FROM foodflow.audit_heads WHERE tenant_id = $1", who.Tenant).Scan(&n)
		if n != 0 {
			t.Error("another tenant sees the head")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestAuditChainFindsEdits is the negative control of the chain: the service's
// own role, which could edit, is found out.
func TestAuditChainFindsEdits(t *testing.T) {
	for _, edit := range []string{
		"UPDATE audit_log SET actor = 'someone' WHERE seq = 3",
		"UPDATE audit_log SET detail = '{}' WHERE seq = 3",
		"UPDATE audit_log SET ts = ts + interval '1 second' WHERE seq = 3",
		"DELETE FROM audit_log WHERE seq = 3",
		"DELETE FROM audit_log WHERE seq = 1",
		"DELETE FROM audit_log WHERE seq = (SELECT max(seq) FROM audit_log)", // the end cut off
		"DELETE FROM audit_log WHERE seq > 3",
		"TRUNCATE audit_log",
		// Rewritten from the third row on, each hash right again.
		`UPDATE audit_log SET actor = 'someone' WHERE seq = 3; DO $$ DECLARE r record; before bytea := (SELECT hash FROM audit_log WHERE seq = 2);
			BEGIN FOR r IN SELECT * FROM audit_log WHERE seq >= 3 ORDER BY seq LOOP
				UPDATE audit_log SET prev = before, hash = ` + auditHash("before", "seq", "ts", "actor", "action", "resource", "detail") + ` WHERE seq = r.seq RETURNING hash INTO before;
			END LOOP; END $$`,
	} {
		f := newFixture(t)
		who := f.tenant("acme")
		for i := range 4 {
			f.sensor(who, fmt.Sprint("s", i))
		}
		if err := f.db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "SET LOCAL search_path = "+postgres.Schema(who.Tenant)+"; "+edit)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, broken, err := f.VerifyAudit(t.Context(), who.Tenant); err != nil || broken == 0 {
			t.Errorf("%s: broken at %d, %v", edit, broken, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	f := newFixture(t)
	who, other := f.tenant("acme"), f.tenant("other")
	x := f.sensor(who, "oven")
	up, down := 10.0, 5.0
	for _, c := range []struct {
		name string
		do   func() error
		want fault.Kind
	}{
		{"key taken", func() error {
			return f.Sensors().Create(t.Context(), who, &Sensor{SensorFields: SensorFields{Key: "oven", Name: "x"}})
		}, fault.Conflict},
		{"key with a slash", func() error {
			return f.Sensors().Create(t.Context(), who, &Sensor{SensorFields: SensorFields{Key: "a/b", Name: "x"}})
		}, fault.Invalid},
		{"limits crossed", func() error {
			return f.Sensors().Create(t.Context(), who, &Sensor{SensorFields: SensorFields{Key: "b", Name: "x", L: &up, H: &down}})
		}, fault.Invalid},
		{"unknown line", func() error {
			id := plant.NewID()
			return f.Sensors().Create(t.Context(), who, &Sensor{SensorFields: SensorFields{Key: "b", Name: "x", LineID: &id}})
		}, fault.Invalid},
		{"stale version", func() error {
			_, err := f.Sensors().Update(t.Context(), who, "oven", 7, func(*Sensor) error { return nil })
			return err
		}, fault.PreconditionFailed},
		{"another tenant's", func() error {
			_, err := f.Sensors().Get(t.Context(), other.Tenant, x.ID.String())
			return err
		}, fault.NotFound},
		{"change another tenant's", func() error {
			_, err := f.Sensors().Update(t.Context(), other, x.ID.String(), AnyVersion, func(*Sensor) error { return nil })
			return err
		}, fault.NotFound},
		{"address taken elsewhere", func() error {
			return f.Users().Create(t.Context(), other, &User{UserFields: UserFields{Email: "Admin@acme.example", Name: "x", Role: RoleViewer}, Hash: "x"})
		}, fault.Conflict},
		{"last admin", func() error {
			_, u, err := f.Login(t.Context(), "admin@acme.example")
			if err != nil {
				return err
			}
			return f.Users().Delete(t.Context(), who, u.ID.String(), AnyVersion)
		}, fault.Conflict},
		{"local time zone", func() error {
			return f.Lines().Create(t.Context(), who, &Line{LineFields: LineFields{Key: "l", Name: "l", Unit: "u", TimeZone: "Local"}})
		}, fault.Invalid},
	} {
		if err := c.do(); err == nil || fault.KindOf(err) != c.want {
			t.Errorf("%s: %v, want kind %d", c.name, err, c.want)
		}
	}
}

func TestBatchMovesOnlyForward(t *testing.T) {
	f := newFixture(t)
	who := f.tenant("acme")
	ctx := t.Context()
	p := &Product{ProductFields: ProductFields{Key: "p", Name: "p", Unit: "u"}}
	l := &Line{LineFields: LineFields{Key: "l", Name: "l", Unit: "u", TimeZone: "UTC"}}
	if err := errors.Join(f.Products().Create(ctx, who, p), f.Lines().Create(ctx, who, l)); err != nil {
		t.Fatal(err)
	}
	batch := func(key string) *Batch {
		b := &Batch{BatchFields: BatchFields{Key: key, LineID: l.ID, ProductID: p.ID, Unit: "u", PlannedQuantity: 100}}
		if err := f.Batches().Create(ctx, who, b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := batch("b1")
	moves := map[string]func() (*Batch, error){
		"start": func() (*Batch, error) { return f.Batches().Start(ctx, who, "b1", AnyVersion) },
		"complete": func() (*Batch, error) {
			return f.Batches().Complete(ctx, who, "b1", AnyVersion, func(b *Batch) error {
				good, scrap, cost := 90.0, 10.0, 45.0
				b.ActualQuantity, b.ScrapQuantity, b.LabourCost = &good, &scrap, &cost
				return nil
			})
		},
		"abort": func() (*Batch, error) { return f.Batches().Abort(ctx, who, "b1", AnyVersion) },
	}
	for _, step := range []struct {
		move string
		ok   bool
	}{{"complete", false}, {"start", true}, {"start", false}, {"complete", true}, {"start", false}, {"complete", false}, {"abort", false}} {
		got, err := moves[step.move]()
		if step.ok != (err == nil) || !step.ok && fault.KindOf(err) != fault.Conflict {
			t.Fatalf("%s: %v", step.move, err)
		}
		if got != nil {
			b = got
		}
	}
	if b.State != BatchCompleted || *b.Figures.Yield != 0.9 || *b.Figures.UnitCost != 0.5 || *b.Figures.ScrapRate != 0.1 {
		t.Errorf("batch %+v", b)
	}
	batch("b2")
	batch("b3")
	if _, err := f.Batches().Start(ctx, who, "b2", AnyVersion); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Batches().Start(ctx, who, "b3", AnyVersion); fault.KindOf(err) != fault.Conflict {
		t.Errorf("two batches on one line: %v", err)
	}
	if err := f.Lines().Delete(ctx, who, "l", AnyVersion); fault.KindOf(err) != fault.Conflict {
		t.Errorf("deleting a line with batches: %v", err)
	}
}

func TestPagesCoverTheListOnce(t *testing.T) {
	f := newFixture(t)
	who := f.tenant("acme")
	for i := range 7 {
		f.sensor(who, fmt.Sprint("s", (i*5)%7))
	}
	for _, sort := range []string{"id", "key"} {
		for _, down := range []bool{false, true} {
			var keys []string
			p := Page{Sort: sort, Descending: down, Limit: 3}
			for {
				xs, more, err := f.Sensors().List(t.Context(), who.Tenant, p)
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range xs {
					keys = append(keys, x.Key)
				}
				if !more {
					break
				}
				last := xs[len(xs)-1]
				p.After = map[string]string{"id": last.ID.String(), "key": last.Key}[sort]
			}
			seen := map[string]bool{}
			for _, k := range keys {
				seen[k] = true
			}
			if len(keys) != 7 || len(seen) != 7 {
				t.Errorf("sort %s down %v: %v", sort, down, keys)
			}
		}
	}
}

func TestRaiseOnce(t *testing.T) {
	f := newFixture(t)
	who := f.tenant("acme")
	fact := Fact{ID: plant.NewID(), Type: "AnomalyDetected", AggregateType: "sensor", Aggregate: plant.NewID(), TS: time.Now(), Data: map[string]any{"score": 1}}
	for i, want := range []bool{true, false} {
		if fresh, err := f.Raise(t.Context(), who.Tenant, fact); err != nil || fresh != want {
			t.Fatalf("call %d: %v %v", i, fresh, err)
		}
	}
}

func TestSuspendAndResume(t *testing.T) {
	f := newFixture(t)
	f.tenant("acme")
	if _, err := f.Suspend(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Login(t.Context(), "admin@acme.example"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("log-in of a suspended tenant: %v", err)
	}
	if _, err := f.Suspend(t.Context(), "acme"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("suspending twice: %v", err)
	}
	if _, err := f.Resume(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Login(t.Context(), "admin@acme.example"); err != nil {
		t.Error(err)
	}
}

func TestSeedDemoIsIdempotentAndKeepsSecretsOut(t *testing.T) {
	f := newFixture(t)
	h := password.New(2, time.Second)
	seed := Seed{Password: "canary-password", Key: directory.NewKey()}
	for range 2 {
		if _, err := f.SeedDemo(t.Context(), f.m, h, seed); err != nil {
			t.Fatal(err)
		}
	}
	seed.Password = "another-password"
	if _, err := f.SeedDemo(t.Context(), f.m, h, seed); err != nil {
		t.Fatal(err)
	}
	who := System(demo.TenantID())
	_, u, err := f.Login(t.Context(), demo.AdminEmail)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := h.Verify(t.Context(), u.Hash, "another-password"); err != nil || !ok {
		t.Errorf("the new password is refused: %v", err)
	}
	xs, _, err := f.Sensors().List(t.Context(), who.Tenant, Page{Sort: "key", Limit: 100})
	if err != nil || len(xs) != 28 {
		t.Errorf("%d sensors, %v", len(xs), err)
	}
	l, err := f.Lines().Get(t.Context(), who.Tenant, demo.Bottling)
	if err != nil || l.ID != demo.ID("line", demo.Bottling) || len(l.IdealRates) != 3 {
		t.Errorf("line %+v, %v", l, err)
	}
	events, _, err := f.Events(t.Context(), who.Tenant, EventFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		text, _ := json.Marshal(e)
		for _, secret := range []string{"canary", "argon2id", u.Hash, seed.Key.Reveal()[20:]} {
			if strings.Contains(string(text), secret) {
				t.Errorf("event %s holds %q", e.Type, secret)
			}
		}
	}
}
