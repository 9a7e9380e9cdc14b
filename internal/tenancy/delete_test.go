package tenancy_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/tenancy"
	"github.com/foodflow/foodflow/schemas"
)

func (w *world) forget(before int64) {
	w.t.Helper()
	var offsets kadm.Offsets
	offsets.AddOffset(broker.TopicProcessorState, 1, before, -1)
	_, err := kadm.NewClient(w.cl).DeleteRecords(w.t.Context(), offsets)
	must(w.t, err)
}

// holdings counts what there is of a tenant in each store, past the code under
// test.
func (w *world) holdings(id plant.ID) map[string]int64 {
	w.t.Helper()
	ctx := w.t.Context()
	out := map[string]int64{}
	pg, err := postgres.Open(ctx, func() postgres.Config { c := postgres.DefaultConfig(); c.URL = w.places.postgres; return c }())
	must(w.t, err)
	defer pg.Close()
	for name, q := range map[string]string{
		"schema": "SELECT count(*) FROM pg_namespace WHERE nspname = '" + postgres.Schema(id) + "'",
		"role":   "SELECT count(*) FROM pg_roles WHERE rolname = '" + postgres.Role(id) + "'",
		"tenant": "SELECT count(*) FROM foodflow.tenants WHERE id = '" + id.String() + "'",
		"logins": "SELECT count(*) FROM foodflow.logins WHERE tenant_id = '" + id.String() + "'",
		"tokens": "SELECT count(*) FROM foodflow.refresh_tokens r JOIN foodflow.token_families f ON f.id = r.family_id WHERE f.tenant_id = '" + id.String() + "'",
	} {
		var n int64
		must(w.t, pg.Pool().QueryRow(ctx, q).Scan(&n))
		out["postgres "+name] = n
	}
	for _, table := range []string{"readings", "readings_1m", "readings_1h", "readings_1d", "line_events"} {
		n, err := w.rows.Count(ctx, table, id)
		must(w.t, err)
		out["clickhouse "+table] = n
	}
	live := map[string]bool{}
	must(w.t, broker.NewLog(w.kafka, w.cl).Each(ctx, broker.TopicDirectory, func(_ int32, key, value []byte) error {
		if strings.Contains(string(key), id.String()) {
			live[string(key)] = value != nil
		}
		return nil
	}))
	for _, is := range live {
		if is {
			out["kafka directory"]++
		}
	}
	return out
}

// settled waits until the relay has carried everything of a tenant.
func (w *world) settled(id plant.ID) {
	w.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		n, err := w.store.Queued(w.t.Context(), id)
		must(w.t, err)
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal("the outbox doesn't empty")
		}
	}
}

func (w *world) reportOf(id plant.ID) (r tenancy.Report) {
	w.t.Helper()
	d, err := w.store.Deletion(w.t.Context(), id.String())
	must(w.t, err)
	must(w.t, json.Unmarshal([]byte(d.Text), &r))
	return r
}

// told gives the types of a tenant's own events on Kafka in order, once each, by
// their numbers, and says where one number is two events or the other way round.
func (w *world) told(id plant.ID) (types []string) {
	w.t.Helper()
	ids := map[string]bool{}
	must(w.t, broker.NewLog(w.kafka, w.cl).Each(w.t.Context(), broker.TopicEvents, func(_ int32, key, value []byte) error {
		var e schemas.DomainEvent
		if err := w.codec.DecodeDomainEvent(value, &e); err != nil || string(key) != id.String() || ids[e.ID.String()] {
			return err
		}
		ids[e.ID.String()] = true
		if types = append(types, e.Type); e.Seq != int64(len(types)) {
			w.t.Errorf("%s of the tenant is number %d, it comes as number %d", e.Type, e.Seq, len(types))
		}
		return nil
	}))
	return types
}

// TestDeletionIsProven deletes one of two tenants and holds the report against
// the stores.
func TestDeletionIsProven(t *testing.T) {
	w := newWorld(t, 2)
	gone, stays := w.tenant("gone"), w.tenant("stays")
	_, err := w.store.Suspend(t.Context(), "gone")
	must(t, err)
	w.await(w.ask(tenancy.KindExport, gone).ID, "exported", finished)
	letGo := w.holdState(gone.ID)
	w.settled(gone.ID)
	w.settled(stays.ID)
	before, other := w.holdings(gone.ID), w.holdings(stays.ID)
	for what, n := range before {
		if n == 0 {
			t.Errorf("%s holds nothing of the tenant, so the deletion proves nothing", what)
		}
	}
	j := w.ask(tenancy.KindDelete, gone)
	// It doesn't go on while a processor holds state.
	held := w.await(j.ID, "waiting for state", func(j *job.Job) bool { return j.Phase == "state" && j.Counts["state_records"] == 1 })
	if held.State != job.Running || w.holdings(gone.ID)["clickhouse readings"] != 1000 {
		t.Errorf("while state is held: %+v", held)
	}
	letGo()
	j = w.await(j.ID, "done", finished)
	for what, n := range w.holdings(gone.ID) {
		if n != 0 {
			t.Errorf("%s holds %d of the tenant", what, n)
		}
	}
	for what, n := range w.holdings(stays.ID) {
		if n != other[what] {
			t.Errorf("%s holds %d of the other tenant, before %d", what, n, other[what])
		}
	}
	if left, err := os.ReadDir(filepath.Join(w.places.archives, gone.ID.String())); err == nil {
		t.Errorf("exports are left: %v", left)
	}
	w.settled(gone.ID)
	if told := strings.Join(w.told(gone.ID), " "); told != "TenantCreated TenantSuspended TenantExported TenantDeleting TenantDeleted" {
		t.Errorf("told of the tenant: %s", told)
	}
	if told := strings.Join(w.told(stays.ID), " "); told != "TenantCreated" {
		t.Errorf("told of the other tenant: %s", told)
	}
	r := w.reportOf(gone.ID)
	if left := r.Complete(); len(left) != 0 {
		t.Errorf("the report says %v", left)
	}
	if r.ClickHouse.Tables["readings"].Before != 1000 || r.ClickHouse.Tables["readings_1d"].Before == 0 || r.Postgres.Tables["sensors"].Before != 5 ||
		r.Postgres.Shared["logins"].Before != 1 || r.Kafka.Directory.Before != before["kafka directory"] || r.Kafka.State.Before != 1 || r.Archives != 1 {
		t.Errorf("report %+v", r)
	}
	for _, topic := range r.Kafka.Topics {
		if topic.GoneBy == nil || topic.Topic == broker.TopicReadings && !topic.GoneBy.Equal(r.EndedAt.Add(14*24*time.Hour)) {
			t.Errorf("topic %+v: gone by %v", topic.Keeping, topic.GoneBy)
		}
	}
	if r.RequestedBy != "user:x" || r.JobID != j.ID || r.TenantKey != "gone" {
		t.Errorf("report %+v", r)
	}
	t.Logf("rows of ClickHouse %v, of Postgres %v, directory %+v, took %v", r.ClickHouse.Tables, r.Postgres.Tables, r.Kafka.Directory, r.EndedAt.Sub(r.RequestedAt))
	// The key is free again, and the new tenant is another.
	if again := w.tenant("gone"); again.ID == gone.ID {
		t.Error("the tenant came back")
	}
}

// TestReportsAreAChain holds the checks of the reports, each change of one as a
// control.
func TestReportsAreAChain(t *testing.T) {
	w := newWorld(t, 2)
	for _, key := range []string{"a", "b", "c"} {
		x := w.tenant(key)
		_, err := w.store.Suspend(t.Context(), key)
		must(t, err)
		w.await(w.ask(tenancy.KindDelete, x).ID, "done", finished)
	}
	key := w.eraser.Signer.Public()
	read := func() []*masterdata.Deletion {
		chain, err := w.store.Deletions(t.Context())
		must(t, err)
		return chain
	}
	if err := tenancy.Check(read(), key); err != nil || len(read()) != 3 {
		t.Fatalf("%d reports, %v", len(read()), err)
	}
	for name, change := range map[string]func([]*masterdata.Deletion) []*masterdata.Deletion{
		"text": func(c []*masterdata.Deletion) []*masterdata.Deletion {
			c[1].Text = strings.Replace(c[1].Text, `"after":0`, `"after":1`, 1)
			return c
		},
		"removed":   func(c []*masterdata.Deletion) []*masterdata.Deletion { return append(c[:1], c[2]) },
		"swapped":   func(c []*masterdata.Deletion) []*masterdata.Deletion { c[0], c[1] = c[1], c[0]; return c },
		"signature": func(c []*masterdata.Deletion) []*masterdata.Deletion { c[2].Signature[0]++; return c },
		"foreign key": func(c []*masterdata.Deletion) []*masterdata.Deletion {
			c[2].PublicKey = tenancy.NewSigner([]byte("another")).Public()
			return c
		},
	} {
		if err := tenancy.Check(change(read()), key); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestDeletionRefusesWhoIsNotSuspended(t *testing.T) {
	w := newWorld(t, 2)
	x := w.tenant("active")
	j := w.ask(tenancy.KindDelete, x)
	for deadline := time.Now().Add(2 * time.Minute); j.Open() && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var err error
		j, err = w.jobs.Get(t.Context(), j.ID)
		must(t, err)
	}
	if j.State != job.Failed || !strings.Contains(j.Error, "suspended") {
		t.Errorf("job %+v", j)
	}
	if _, err := w.store.Sensors().Get(t.Context(), x.ID, "s0"); err != nil {
		t.Errorf("the tenant is damaged: %v", err)
	}
	if _, err := w.store.Deletion(t.Context(), x.ID.String()); fault.KindOf(err) != fault.NotFound {
		t.Errorf("report: %v", err)
	}
}

// TestDeletionWaitsForWhatWasAccepted: a reading on Kafka that no processor has
// taken yet holds the deletion up, or its row would come in behind it.
func TestDeletionWaitsForWhatWasAccepted(t *testing.T) {
	w := newWorld(t, 2)
	x := w.tenant("slow")
	_, err := w.store.Suspend(t.Context(), "slow")
	must(t, err)
	end := w.accept()
	j := w.ask(tenancy.KindDelete, x)
	w.await(j.ID, "waiting for the group", func(j *job.Job) bool { return j.Phase == "drain" && j.Counts["behind"] == 1 })
	var offsets kadm.Offsets
	offsets.AddOffset(broker.TopicReadings, 0, end, -1)
	must(t, kadm.NewClient(w.cl).CommitAllOffsets(t.Context(), "readers", offsets))
	w.await(j.ID, "done", finished)
}

// TestDeletionKilledAtEachPhase (kill -9 at each point of each step): the next
// process goes on, and the report is that of one run.
func TestDeletionKilledAtEachPhase(t *testing.T) {
	w := newWorld(t, 0)
	var points []string
	points = append(points, "delete.filed:kill@1")
	for _, step := range strings.Fields("close drain state directory clickhouse postgres report") {
		points = append(points, "job.tenant-delete."+step+".done:kill@1")
	}
	points = append(points, "delete.clickhouse:kill@1", "delete.clickhouse:kill@4", "delete.postgres:kill@1")
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			key := strings.NewReplacer(".", "-", ":", "-", "@", "-").Replace(point)
			x := w.tenant(key)
			_, err := w.store.Suspend(t.Context(), key)
			must(t, err)
			w.settled(x.ID)
			before := w.holdings(x.ID)
			j := w.ask(tenancy.KindDelete, x)
			if out, err := w.work(j.ID, point); !killed(err) {
				t.Fatalf("the first process was not killed: %v: %s", err, out)
			}
			if j, err = w.jobs.Get(t.Context(), j.ID); err != nil || !j.Open() {
				t.Fatalf("after the kill: %+v, %v", j, err)
			}
			w.noLeader()
			if out, err := w.work(j.ID, ""); err != nil {
				t.Fatalf("the second process: %v: %s", err, out)
			}
			for what, n := range w.holdings(x.ID) {
				if n != 0 {
					t.Errorf("%s holds %d of the tenant", what, n)
				}
			}
			w.settled(x.ID)
			if told := strings.Join(w.told(x.ID), " "); told != "TenantCreated TenantSuspended TenantDeleting TenantDeleted" {
				t.Errorf("told of the tenant: %s", told)
			}
			r := w.reportOf(x.ID)
			if left := r.Complete(); len(left) != 0 || r.ClickHouse.Tables["readings"].Before != before["clickhouse readings"] ||
				r.ClickHouse.Tables["line_events"].Before != before["clickhouse line_events"] || r.Postgres.Tables["sensors"].Before != 5 {
				t.Errorf("left %v, report %+v", left, r)
			}
		})
	}
	chain, err := w.store.Deletions(t.Context())
	must(t, err)
	if err := tenancy.Check(chain, w.eraser.Signer.Public()); err != nil || len(chain) != len(points) {
		t.Errorf("%d reports of %d deletions: %v", len(chain), len(points), err)
	}
}

// noLeader spares the test the quarter of a minute that River waits for a leader
// that died.
func (w *world) noLeader() {
	w.t.Helper()
	c := postgres.DefaultConfig()
	c.URL = w.places.postgres
	db, err := postgres.Open(context.Background(), c)
	must(w.t, err)
	defer db.Close()
	_, err = db.Pool().Exec(w.t.Context(), "DELETE FROM foodflow.river_leader")
	must(w.t, err)
}
