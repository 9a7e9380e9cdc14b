package tenancy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	chtenant "github.com/foodflow/foodflow/clickhouse/tenant"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/outbox"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/tenancy"
	"github.com/foodflow/foodflow/internal/testkit"
	"github.com/foodflow/foodflow/schemas"
)

// places is where the stores are.
type places struct{ postgres, kafka, clickhouse, database, archives string }

// services are what works on tenants, on real stores.
type services struct {
	store  *masterdata.Store
	m      *migrate.Migrator
	rows   *chtenant.Rows
	ch     *clickhouse.Client
	kafka  broker.Config
	cl     *kgo.Client
	eraser *tenancy.Eraser
	jobs   *job.Service
	close  func()
}

// discard shows nothing, or with FOODFLOW_TEST_LOG everything.
func discard() *slog.Logger {
	if os.Getenv("FOODFLOW_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

func open(ctx context.Context, p places, workers int, lease time.Duration) (*services, error) {
	s := &services{}
	pc := postgres.DefaultConfig()
	pc.URL, pc.Acquire = p.postgres, time.Minute
	db, err := postgres.Open(ctx, pc)
	if err != nil {
		return nil, err
	}
	mc := migrate.DefaultConfig()
	mc.URL = p.postgres
	if s.m, err = migrate.New(mc, discard()); err != nil {
		return nil, err
	}
	cc := clickhouse.DefaultConfig()
	cc.URL, cc.Database = p.clickhouse, p.database
	if s.ch, err = clickhouse.NewClient(cc); err != nil {
		return nil, err
	}
	s.kafka = broker.DefaultConfig()
	s.kafka.Brokers = strings.Split(p.kafka, ",")
	if s.cl, err = broker.Client(s.kafka, kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		return nil, err
	}
	s.store, s.rows = masterdata.New(db, time.Now), chtenant.New(s.ch)
	s.eraser = &tenancy.Eraser{
		Store: s.store, Schemas: s.m, Rows: s.rows, Log: broker.NewLog(s.kafka, s.cl), Signer: tenancy.NewSigner([]byte("secret")),
		Readers:  []tenancy.Reader{{Group: "readers", Topics: []string{broker.TopicReadings, broker.TopicLineEvents}}},
		Archives: p.archives, Settle: 100 * time.Millisecond, Patience: 2 * time.Minute, Now: time.Now,
	}
	cfg := job.DefaultConfig()
	cfg.Poll, cfg.Lease, cfg.Sweep, cfg.Workers = 50*time.Millisecond, lease, 200*time.Millisecond, workers
	x := &tenancy.Exporter{Store: s.store, Rows: s.rows, Now: time.Now}
	s.jobs, err = job.New(cfg, db, []job.Kind{tenancy.ExportKind(x, p.archives), tenancy.DeleteKind(s.eraser)}, nil, discard())
	s.close = func() { s.ch.Close(); s.cl.Close(); db.Close() }
	return s, err
}

// seeThrough is the life of the child.
func seeThrough(ctx context.Context, id plant.ID) error {
	// Its lease is soon over: the next child waits for that.
	s, err := open(ctx, places{os.Getenv(childPostgres), os.Getenv(childKafka), os.Getenv(childClickHouse), os.Getenv(childDatabase), os.Getenv(childArchives)}, 2, time.Second)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.jobs.Start(ctx); err != nil {
		return err
	}
	for {
		j, err := s.jobs.Get(ctx, id)
		if err != nil {
			return err
		}
		if !j.Open() {
			return s.jobs.Stop(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the job is %+v: %w", j, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// world is an installation of two tenants with something in every store.
type world struct {
	*services
	t      *testing.T
	places places
	codec  *schemas.Codec
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T, workers int) *world {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	must(t, err)
	t.Cleanup(cluster.Close)
	w := &world{t: t, places: places{testkit.Postgres(t), strings.Join(cluster.ListenAddrs(), ","), embeddedtest.Start(t), embeddedtest.Database(t), t.TempDir()}}
	w.services, err = open(context.Background(), w.places, workers, time.Minute)
	must(t, err)
	t.Cleanup(w.close)
	must(t, w.m.Shared(t.Context()))
	must(t, ddl.Apply(t.Context(), w.ch, ddl.DefaultOptions(8)))
	must(t, broker.EnsureTopics(t.Context(), w.cl, 2))
	w.relay()
	if workers > 0 {
		must(t, w.jobs.Start(t.Context()))
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			must(t, w.jobs.Stop(ctx))
		})
	}
	return w
}

// relay carries the outbox until the test ends.
func (w *world) relay() {
	w.t.Helper()
	var err error
	w.codec, err = schemas.NewStaticCodec()
	must(w.t, err)
	pc := postgres.DefaultConfig()
	pc.URL = w.places.postgres
	db, err := postgres.Open(context.Background(), pc)
	must(w.t, err)
	cl, err := broker.Client(w.kafka)
	must(w.t, err)
	r, err := outbox.New(outbox.DefaultConfig(), db, cl, w.codec, nil, discard())
	must(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx) // it returns nil
	}()
	w.t.Cleanup(func() { cancel(); <-done; cl.Close(); db.Close() })
}

// canary is what must leave Postgres in no export.
const canary = "canary-hash-of-a-password"

// tenant makes a tenant with master data and rows in every table of ClickHouse.
func (w *world) tenant(key string) *masterdata.Tenant {
	w.t.Helper()
	ctx := w.t.Context()
	admin := masterdata.User{UserFields: masterdata.UserFields{Email: "admin@" + key + ".example", Name: "Admin"}, Hash: canary}
	t, err := w.store.Provision(ctx, w.m, masterdata.NewTenant{Key: key, Name: key + " Foods", Admin: admin})
	must(w.t, err)
	who := masterdata.System(t.ID)
	l := &masterdata.Line{LineFields: masterdata.LineFields{Key: "l", Name: `A "line" \ with marks`, Unit: "u", TimeZone: "UTC"}}
	must(w.t, w.store.Lines().Create(ctx, who, l))
	for i := range 5 {
		must(w.t, w.store.Sensors().Create(ctx, who, &masterdata.Sensor{SensorFields: masterdata.SensorFields{Key: fmt.Sprint("s", i), Name: "x", LineID: &l.ID}}))
	}
	_, _, err = w.store.APIKeys().Create(ctx, who, masterdata.APIKeyFields{Name: "k", Scopes: []string{"ingest"}})
	must(w.t, err)
	_, u, err := w.store.Login(ctx, admin.Email)
	must(w.t, err)
	_, err = w.store.BeginLogin(ctx, t.ID, u.ID, []byte(strings.Repeat(key[:1], 32)), time.Hour)
	must(w.t, err)
	for _, q := range []string{
		"INSERT INTO readings (tenant_id, sensor_id, ts, value, seq) SELECT toUUID('%'), generateUUIDv4(), toStartOfDay(now64(3, 'UTC')) - INTERVAL 28 DAY + number * 600, number, number FROM numbers(1000)",
		"INSERT INTO readings_1m (tenant_id, sensor_id, ts, count) SELECT toUUID('%'), generateUUIDv4(), toStartOfDay(now('UTC')) - INTERVAL 26 DAY + number * 60, 1 FROM numbers(100)",
		"INSERT INTO line_events (tenant_id, line_id, ts, type) SELECT toUUID('%'), generateUUIDv4(), now64(3), 'count' FROM numbers(10)",
	} {
		_, err := w.ch.Exec(ctx, strings.ReplaceAll(q, "%", t.ID.String()), nil)
		must(w.t, err)
	}
	return t
}

// holdState puts a record that names the tenant among the processors' state, as
// a snapshot would, and gives what lets go of it.
func (w *world) holdState(id plant.ID) (letGo func()) {
	w.t.Helper()
	r := &kgo.Record{Topic: broker.TopicProcessorState, Partition: 1, Value: append([]byte("state of "), id[:]...)}
	must(w.t, w.cl.ProduceSync(w.t.Context(), r).FirstErr())
	return func() {
		w.t.Helper()
		must(w.t, w.cl.ProduceSync(w.t.Context(), &kgo.Record{Topic: broker.TopicProcessorState, Partition: 1, Value: []byte("state of others")}).FirstErr())
		w.forget(r.Offset + 1)
	}
}

func (w *world) ask(kind string, t *masterdata.Tenant) *job.Job {
	w.t.Helper()
	j, err := w.jobs.Ask(w.t.Context(), job.Request{Kind: kind, Tenant: t.ID, TenantKey: t.Key, Actor: "user:x"})
	must(w.t, err)
	return j
}

// await looks until the job is as wanted.
func (w *world) await(id plant.ID, what string, ok func(*job.Job) bool) *job.Job {
	w.t.Helper()
	for deadline := time.Now().Add(4 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		j, err := w.jobs.Get(w.t.Context(), id)
		must(w.t, err)
		if ok(j) {
			return j
		}
		if time.Now().After(deadline) || j.State == job.Failed {
			w.t.Fatalf("waiting until the job is %s: %+v", what, j)
		}
	}
}

func finished(j *job.Job) bool { return j.State == job.Done }

// work runs a child on a job, armed with a failpoint.
func (w *world) work(id plant.ID, point string) (string, error) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), os.Args[0])
	p := w.places
	cmd.Env = append(os.Environ(), childPostgres+"="+p.postgres, childKafka+"="+p.kafka, childClickHouse+"="+p.clickhouse, childDatabase+"="+p.database,
		childArchives+"="+p.archives, childJob+"="+id.String(), fault.Variable+"="+point)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = io.Writer(&out), io.Writer(&out)
	err := cmd.Run()
	return out.String(), err
}

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// accept puts a record on the readings' topic, as ingest does, and gives the end
// behind it.
func (w *world) accept() int64 {
	w.t.Helper()
	r := &kgo.Record{Topic: broker.TopicReadings, Partition: 0, Value: []byte("a reading")}
	must(w.t, w.cl.ProduceSync(w.t.Context(), r).FirstErr())
	return r.Offset + 1
}
