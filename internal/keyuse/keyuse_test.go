package keyuse

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
	"github.com/foodflow/foodflow/internal/testkit/leak"
	"github.com/foodflow/foodflow/schemas"
)

func TestMain(m *testing.M) { leak.Main(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// world is master data on a real Postgres, topics on a broker, and a directory
// that knows both tenants and their keys.
type world struct {
	*masterdata.Store
	t       *testing.T
	db      *postgres.DB
	m       *migrate.Migrator
	dir     *directory.Store
	codec   *schemas.Codec
	cfg     broker.Config
	out     *broker.Producer
	writer  *Writer
	tenants map[string]plant.ID
	clear   map[string]string // by tenant
	keys    map[string]plant.ID
}

func newWorld(t *testing.T) *world {
	t.Helper()
	pc, mc := postgres.DefaultConfig(), migrate.DefaultConfig()
	pc.URL = testkit.Postgres(t)
	mc.URL = pc.URL
	w := &world{t: t, dir: directory.NewStore(), tenants: map[string]plant.ID{}, clear: map[string]string{}, keys: map[string]plant.ID{}}
	var err error
	w.m, err = migrate.New(mc, silent())
	must(t, err)
	must(t, w.m.Shared(t.Context()))
	w.db, err = postgres.Open(context.Background(), pc)
	must(t, err)
	t.Cleanup(w.db.Close)
	w.Store = masterdata.New(w.db, time.Now)
	w.codec, err = schemas.NewStaticCodec()
	must(t, err)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	must(t, err)
	t.Cleanup(cluster.Close)
	w.cfg = broker.DefaultConfig()
	w.cfg.Brokers = cluster.ListenAddrs()
	cl, err := broker.Client(w.cfg)
	must(t, err)
	t.Cleanup(cl.Close)
	must(t, broker.EnsureTopics(t.Context(), cl, 1))
	w.out = broker.NewProducer(cl)
	w.writer = NewWriter(w.Store, w.codec, w.out, w.dir, nil, silent())
	for _, key := range []string{"acme", "rival"} {
		w.tenant(key)
	}
	return w
}

func (w *world) tenant(key string) {
	w.t.Helper()
	made, err := w.Provision(w.t.Context(), w.m, masterdata.NewTenant{Key: key, Name: key, Admin: masterdata.User{UserFields: masterdata.UserFields{Email: "a@" + key + ".example", Name: "A"}, Hash: "x"}})
	must(w.t, err)
	k, clear, err := w.APIKeys().Create(w.t.Context(), masterdata.System(made.ID), masterdata.APIKeyFields{Name: "gateway", Scopes: []string{directory.ScopeIngest}})
	must(w.t, err)
	w.tenants[key], w.keys[key], w.clear[key] = made.ID, k.ID, clear.Reveal()
	must(w.t, directorytest.Enter(w.dir, directory.Tenant{ID: made.ID, Key: key}, directory.APIKey{ID: k.ID, Tenant: made.ID, Public: k.Public, Hash: clear.Hash(), Scopes: k.Scopes}))
}

func (w *world) key(tenant string) *masterdata.APIKey {
	w.t.Helper()
	k, err := w.APIKeys().Get(w.t.Context(), w.tenants[tenant], w.keys[tenant].String())
	must(w.t, err)
	return k
}

// traces is what a tenant's changes leave behind: events and audit rows.
func (w *world) traces(tenant string) [2]int {
	w.t.Helper()
	events, _, err := w.Events(w.t.Context(), w.tenants[tenant], masterdata.EventFilter{Limit: 1000})
	must(w.t, err)
	rows, _, err := w.AuditLog(w.t.Context(), w.tenants[tenant], 0, 1000)
	must(w.t, err)
	return [2]int{len(events), len(rows)}
}

// until runs the writer's group until done, which its goroutine asks.
func (w *world) until(handle func(context.Context, []broker.Record) error, done func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute)
	defer cancel()
	err := broker.ReadGroup(ctx, w.cfg, Group, Topics(), silent(), func(ctx context.Context, rs []broker.Record) error {
		err := handle(ctx, rs)
		if done() {
			cancel()
		}
		return err
	}, nil)
	if err != nil || !errors.Is(ctx.Err(), context.Canceled) {
		w.t.Fatalf("reading reports: %v, %v", err, ctx.Err())
	}
}

func (w *world) report(tenant, key plant.ID, ts int64) broker.Message {
	w.t.Helper()
	v, err := w.codec.AppendKeyUse(nil, &schemas.KeyUse{Tenant: tenant, APIKey: key, TS: ts})
	must(w.t, err)
	return broker.Message{Topic: broker.TopicKeyUses, Key: key[:], Value: v}
}

// TestUseShows takes a use from the door to the table, through Kafka and a real
// Postgres. It changes nothing but the time; the other tenant's key, which nobody
// uses, is the control.
func TestUseShows(t *testing.T) {
	w := newWorld(t)
	before, traces := w.key("acme"), w.traces("acme")
	if before.LastUsedAt != nil {
		t.Fatal("a key that nobody used has a last use")
	}
	at := time.Now().Truncate(time.Millisecond)
	_, err := w.dir.Authenticate(w.clear["acme"], at)
	must(t, err)
	r := NewReporter(w.dir, w.codec, w.out, nil, silent())
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a stop reports what was noted
	must(t, r.Run(ctx))
	w.until(w.writer.Handle, func() bool { return testutil.ToFloat64(w.writer.written) == 1 })
	k := w.key("acme")
	if k.LastUsedAt == nil || !k.LastUsedAt.Equal(at) || k.Version != before.Version || !k.UpdatedAt.Equal(before.UpdatedAt) {
		t.Errorf("after a use at %v: %+v", at, k)
	}
	if got := w.traces("acme"); got != traces {
		t.Errorf("events and audit rows %v, before the use %v", got, traces)
	}
	if k := w.key("rival"); k.LastUsedAt != nil {
		t.Errorf("a key that nobody used was used at %v", k.LastUsedAt)
	}
}

// TestNewestUseStays: reports come in any order, again, from several processes
// and from clocks that are ahead.
func TestNewestUseStays(t *testing.T) {
	w := newWorld(t)
	now := time.Now().Truncate(time.Millisecond)
	used := func(at time.Time, changed int64) {
		t.Helper()
		n, err := w.Used(t.Context(), w.tenants["acme"], map[plant.ID]time.Time{w.keys["acme"]: at, w.keys["rival"]: at, plant.NewID(): at})
		if err != nil || n != changed {
			t.Errorf("a use at %v changed %d rows, want %d (%v)", at, n, changed, err)
		}
	}
	used(now.Add(-time.Hour), 1)
	used(now, 1)
	used(now, 0)
	used(now.Add(-time.Minute), 0)
	if k := w.key("acme"); !k.LastUsedAt.Equal(now) {
		t.Errorf("last used %v, want %v", k.LastUsedAt, now)
	}
	used(now.Add(24*time.Hour), 1)
	if k := w.key("acme"); k.LastUsedAt.After(time.Now().Add(time.Minute)) {
		t.Errorf("used in the future: %v", k.LastUsedAt)
	}
	if k := w.key("rival"); k.LastUsedAt != nil {
		t.Error("a report of one tenant moved another's key")
	}
}

// TestWhatIsNoReport: rubbish becomes a dead letter, a tenant that is being
// deleted, one that is gone and a key that is gone are passed over, and what is
// right among them is written.
func TestWhatIsNoReport(t *testing.T) {
	w := newWorld(t)
	gone, at := plant.NewID(), time.Now().Truncate(time.Millisecond)
	must(t, directorytest.Enter(w.dir, directory.Tenant{ID: gone, Key: "gone", Deleting: true})) // its schema is gone already
	future := w.report(w.tenants["acme"], w.keys["acme"], 1<<60)
	must(t, w.out.Publish(t.Context(), []broker.Message{
		{Topic: broker.TopicKeyUses, Key: []byte("k"), Value: []byte("rubbish")},
		{Topic: broker.TopicKeyUses},
		future,
		w.report(gone, plant.NewID(), at.UnixMilli()), w.report(plant.NewID(), plant.NewID(), at.UnixMilli()),
		w.report(w.tenants["acme"], plant.NewID(), at.UnixMilli()), w.report(w.tenants["acme"], w.keys["acme"], at.UnixMilli()),
	}))
	w.until(w.writer.Handle, func() bool { return testutil.ToFloat64(w.writer.written) == 1 })
	for reason, want := range map[string]float64{"dead_letter": 3, "tenant": 2, "refused": 0} {
		if got := testutil.ToFloat64(w.writer.skipped.WithLabelValues(reason)); got != want {
			t.Errorf("passed over as %s %v times, want %v", reason, got, want)
		}
	}
	if k := w.key("acme"); !k.LastUsedAt.Equal(at) {
		t.Errorf("last used %v, want %v", k.LastUsedAt, at)
	}
	reasons := map[string]int{}
	must(t, broker.ReadPartition(t.Context(), w.cfg, broker.TopicDeadLetters, 0, 3, func(_ int64, v []byte) error {
		var d schemas.DeadLetter
		err := w.codec.DecodeDeadLetter(v, &d)
		if d.Topic != broker.TopicKeyUses || d.ID != schemas.DeadLetterID(d.Topic, d.Partition, d.Offset) || d.TS == 0 {
			t.Errorf("a dead letter of %+v", d)
		}
		reasons[d.Reason]++
		return err
	}))
	if reasons["frame"] != 2 || reasons["body"] != 1 {
		t.Errorf("dead letters by reason: %v", reasons)
	}
}

// flaky is a store, or a way to Kafka, that is away at first.
type flaky struct {
	Store
	Publisher
	away int
}

func (f *flaky) err() error {
	if f.away--; f.away >= 0 {
		return fault.NewUnavailable(time.Second, nil, "away")
	}
	return nil
}

func (f *flaky) Used(ctx context.Context, tenant plant.ID, used map[plant.ID]time.Time) (int64, error) {
	if err := f.err(); err != nil {
		return 0, err
	}
	return f.Store.Used(ctx, tenant, used)
}

func (f *flaky) Publish(ctx context.Context, msgs []broker.Message) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.Publisher.Publish(ctx, msgs)
}

// TestAwayIsNotLost: with Kafka away the reporter keeps the newest use of each
// key, with Postgres away the writer gets the same records again.
func TestAwayIsNotLost(t *testing.T) {
	w := newWorld(t)
	r := NewReporter(w.dir, w.codec, &flaky{Publisher: w.out, away: 2}, nil, silent())
	at := time.Now().Truncate(time.Millisecond).Add(-10 * time.Minute)
	for i := range 3 {
		for _, tenant := range []string{"acme", "rival"} {
			if tenant == "acme" || i == 0 {
				_, err := w.dir.Authenticate(w.clear[tenant], at.Add(time.Duration(i)*time.Minute))
				must(t, err)
			}
		}
		r.report(t.Context(), time.Minute)
	}
	if failed, told := testutil.ToFloat64(r.told.WithLabelValues("failed")), testutil.ToFloat64(r.told.WithLabelValues("published")); failed != 4 || told != 2 || len(r.kept) != 0 {
		t.Errorf("%v failed, %v published, %d kept", failed, told, len(r.kept))
	}
	w.writer.store = &flaky{Store: w.Store, away: 2}
	tries := 0
	w.until(func(ctx context.Context, rs []broker.Record) error { tries++; return w.writer.Handle(ctx, rs) }, func() bool { return testutil.ToFloat64(w.writer.written) == 2 })
	if got := w.key("acme").LastUsedAt; !got.Equal(at.Add(2*time.Minute)) || tries < 2 {
		t.Errorf("last used %v, want %v, after %d tries", got, at.Add(2*time.Minute), tries)
	}
	if got := w.key("rival").LastUsedAt; !got.Equal(at) {
		t.Errorf("last used %v, want %v", got, at)
	}
}
