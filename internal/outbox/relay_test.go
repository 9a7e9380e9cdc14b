package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
	"github.com/foodflow/foodflow/schemas"
)

type world struct {
	t     testing.TB
	cfg   postgres.Config
	db    *postgres.DB
	store *masterdata.Store
	m     *migrate.Migrator
	kafka broker.Config
	out   *kgo.Client
	codec *schemas.Codec
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldAt(t, testkit.Postgres(t))
}

func newWorldAt(t testing.TB, url string) *world {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL, cfg.MaxConns, cfg.Acquire = url, 40, time.Minute
	return newWorldOn(t, cfg)
}

func newWorldOn(t testing.TB, cfg postgres.Config) *world {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := &world{t: t, cfg: cfg, kafka: broker.DefaultConfig()}
	w.kafka.Brokers = cluster.ListenAddrs()
	if w.out, err = broker.Client(w.kafka); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.out.Close)
	if err := broker.EnsureTopics(t.Context(), w.out, 4); err != nil {
		t.Fatal(err)
	}
	if w.codec, err = schemas.NewStaticCodec(); err != nil {
		t.Fatal(err)
	}
	mc := migrate.DefaultConfig()
	if mc.URL = cfg.Direct; mc.URL == "" {
		mc.URL = cfg.URL
	}
	if w.m, err = migrate.New(mc, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := w.m.Shared(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.db, err = postgres.Open(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.db.Close)
	w.store = masterdata.New(w.db, time.Now)
	return w
}

func (w *world) tenant(key string) masterdata.Actor {
	w.t.Helper()
	admin := masterdata.User{UserFields: masterdata.UserFields{Email: "admin@" + key + ".example", Name: "Admin"}, Hash: "x"}
	t, err := w.store.Provision(w.t.Context(), w.m, masterdata.NewTenant{Key: key, Name: key, Admin: admin})
	if err != nil {
		w.t.Fatal(err)
	}
	return masterdata.System(t.ID)
}

func (w *world) relay(reg prometheus.Registerer, out Producer) *Relay {
	w.t.Helper()
	r, err := New(DefaultConfig(), w.db, out, w.codec, reg, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// run runs a component until the test ends.
func run(t testing.TB, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// events reads all domain events on the topic.
func (w *world) events() (out []schemas.DomainEvent) {
	w.t.Helper()
	tail := broker.NewTail(w.kafka, broker.TopicEvents, func(_ context.Context, _, value []byte) {
		var e schemas.DomainEvent
		if err := w.codec.DecodeDomainEvent(value, &e); err != nil {
			w.t.Error(err)
		}
		out = append(out, e)
	})
	follow(w.t, tail)
	if err := tail.Stop(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// follow starts a tail and waits until it has read what there is.
func follow(t testing.TB, tail *broker.Tail) {
	t.Helper()
	if err := tail.Start(t.Context(), func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	select {
	case <-tail.Ready():
	case <-t.Context().Done():
		t.Fatal("the topic was never read")
	}
}

func eventually(t testing.TB, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > 2*time.Minute {
			t.Fatal("never: ", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(start)
}

func (w *world) waiting() (n int) {
	w.t.Helper()
	if err := w.db.InShared(w.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT count(*) FROM outbox").Scan(&n)
	}); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestChangesReachTheDirectory follows a key from its making to its revocation.
func TestChangesReachTheDirectory(t *testing.T) { changesReachTheDirectory(t, newWorld(t)) }

func changesReachTheDirectory(t *testing.T, w *world) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	// Only notifications wake it: that they do is why a change is known within a
	// second, and how long a machine that does other things takes is no measure.
	r := w.relay(reg, w.out)
	r.cfg.Interval = time.Hour
	run(t, r.Run)
	eventually(t, "the relay listens", func() bool {
		var n int
		err := w.db.Pool().QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle' AND query = 'LISTEN "+masterdata.Channel+"'").Scan(&n)
		return err == nil && n == 1
	})
	dir := directory.NewStore()
	tail := broker.NewTail(w.kafka, broker.TopicDirectory, directory.Applier(dir, w.codec, slog.New(slog.DiscardHandler), reg))
	follow(t, tail)
	t.Cleanup(func() { _ = tail.Stop(context.Background()) })
	who := w.tenant("acme")
	k, clear, err := w.store.APIKeys().Create(t.Context(), who, masterdata.APIKeyFields{Name: "k", Scopes: []string{"ingest"}})
	if err != nil {
		t.Fatal(err)
	}
	known := eventually(t, "the key is known", func() bool { _, err := dir.Authenticate(clear.Reveal(), time.Now()); return err == nil })
	if _, err := w.store.APIKeys().Revoke(t.Context(), who, k.ID.String(), masterdata.AnyVersion); err != nil {
		t.Fatal(err)
	}
	took := eventually(t, "the key is refused", func() bool {
		_, err := dir.Authenticate(clear.Reveal(), time.Now())
		return errors.Is(err, directory.ErrKeyRevoked)
	})
	t.Logf("milliseconds to know: %d, to refuse: %d", known.Milliseconds(), took.Milliseconds())
	x := &masterdata.Sensor{SensorFields: masterdata.SensorFields{Key: "oven", Name: "Oven"}}
	if err := w.store.Sensors().Create(t.Context(), who, x); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the sensor is known", func() bool { _, ok := dir.Sensor(who.Tenant, "oven"); return ok })
	if err := w.store.Sensors().Delete(t.Context(), who, "oven", masterdata.AnyVersion); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the sensor is gone", func() bool { _, ok := dir.Sensor(who.Tenant, "oven"); return !ok })
	if n := testutil.CollectAndCount(reg, "foodflow_outbox_rows_total", "foodflow_directory_entries_total"); n != 4 {
		t.Errorf("%d series", n)
	}
}

// TestNothingIsSkipped is promise P15: writers of several tenants sleep before
// they commit, so ids commit out of order.
func TestNothingIsSkipped(t *testing.T) {
	w := newWorld(t)
	run(t, w.relay(nil, w.out).Run)
	control := &highWater{db: w.db, seen: map[int64]bool{}}
	if err := control.watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, control.run)
	const tenants, writers, each = 4, 16, 12
	var who []masterdata.Actor
	for i := range tenants {
		who = append(who, w.tenant(fmt.Sprint("t", i)))
	}
	var mu sync.Mutex
	want := map[plant.ID]bool{}
	write := func() {
		var wg sync.WaitGroup
		for n := range writers {
			wg.Go(func() {
				for range each {
					id := plant.NewID()
					if err := insertSlowly(t.Context(), w.db, who[n%tenants].Tenant, id); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					want[id] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	// Once more for a control that the machine let look too rarely to miss one.
	for round := 0; round == 0 || round < 50 && control.skipped() == 0 && !t.Failed(); round++ {
		write()
		eventually(t, "the outbox is empty", func() bool { return w.waiting() == 0 })
	}
	n := len(want)
	for _, e := range w.events() {
		delete(want, e.ID)
	}
	t.Logf("events %d, skipped %d; control (id > last) skipped %d", n, len(want), control.skipped())
	if len(want) != 0 {
		t.Errorf("%d events skipped", len(want))
	}
	if control.skipped() == 0 {
		t.Error("the control skipped nothing, so the test proves nothing")
	}
}

// insertSlowly writes an outbox row and sleeps before it commits. It goes past
// the store, whose lock would make one tenant's writers wait for each other.
func insertSlowly(ctx context.Context, db *postgres.DB, tenant, event plant.ID) error {
	return db.InTenant(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO foodflow.outbox (tenant_id, kind, subject_kind, subject_id, version, event_id, event_type)
			VALUES ($1, 'event', 'test', $2, 1, $2, 'Tested')`, tenant, event)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "SELECT pg_sleep($1)", rand.Float64()*0.03)
		return err
	})
}

// highWater is the usual mistake: a relay that remembers the last id. It reads
// a copy of the rows' ids, kept by a trigger that survives the real relay.
type highWater struct {
	db   *postgres.DB
	mu   sync.Mutex // guards the rest
	seen map[int64]bool
	all  []int64
	last int64
}

// watch begins the copy.
func (h *highWater) watch(ctx context.Context) error {
	return h.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE copy (id bigint PRIMARY KEY);
			CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO foodflow.copy VALUES (NEW.id); RETURN NEW; END';
			CREATE TRIGGER keep AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION keep()`)
		return err
	})
}

func (h *highWater) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := h.look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (h *highWater) look(ctx context.Context) error {
	return h.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT id FROM copy ORDER BY id")
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.all = ids
		for _, id := range ids {
			if id > h.last {
				h.seen[id], h.last = true, id
			}
		}
		return nil
	})
}

func (h *highWater) skipped() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all) - len(h.seen)
}

// TestOrderPerAggregate changes the same things from many goroutines.
func TestOrderPerAggregate(t *testing.T) { orderPerAggregate(t, newWorld(t)) }

func orderPerAggregate(t *testing.T, w *world) {
	t.Helper()
	run(t, w.relay(nil, w.out).Run)
	run(t, w.relay(nil, w.out).Run) // a second relay must not disturb
	who := w.tenant("acme")
	for i := range 3 {
		if err := w.store.Sensors().Create(t.Context(), who, &masterdata.Sensor{SensorFields: masterdata.SensorFields{Key: fmt.Sprint("s", i), Name: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			for i := range 10 {
				if _, err := w.store.Sensors().Update(t.Context(), who, fmt.Sprint("s", g%3), masterdata.AnyVersion, func(x *masterdata.Sensor) error {
					x.Name = fmt.Sprint(g, i)
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "the outbox is empty", func() bool { return w.waiting() == 0 })
	got := w.events()
	last := map[plant.ID]int64{}
	for _, e := range got {
		if e.Seq != last[e.Aggregate]+1 {
			t.Errorf("aggregate %s: seq %d behind %d", e.Aggregate, e.Seq, last[e.Aggregate])
		}
		last[e.Aggregate] = e.Seq
	}
	full := 0
	for _, n := range last {
		if n == 21 {
			full++
		}
	}
	if full != 3 {
		t.Errorf("last seqs %v", last)
	}
}

// lostAck acks to nobody: Kafka has the records, the relay gets an error.
type lostAck struct {
	*kgo.Client
	times int
}

func (l *lostAck) ProduceSync(ctx context.Context, rs ...*kgo.Record) kgo.ProduceResults {
	res := l.Client.ProduceSync(ctx, rs...)
	if l.times > 0 {
		l.times--
		return kgo.ProduceResults{{Err: errors.New("the ack was lost")}}
	}
	return res
}

// TestLostAckDoublesAndLosesNothing is promise P16 at its worst moment: between
// Kafka's ack and the mark.
func TestLostAckDoublesAndLosesNothing(t *testing.T) {
	w := newWorld(t)
	w.tenant("acme")
	before := w.waiting()
	r := w.relay(nil, &lostAck{w.out, 2})
	for i := range 2 {
		if n, err := r.Carry(t.Context()); err == nil || n != 0 || w.waiting() != before {
			t.Fatalf("carry %d: %d, %v", i, n, err)
		}
	}
	if n, err := r.Carry(t.Context()); err != nil || n != before || w.waiting() != 0 {
		t.Fatalf("carry: %d, %v", n, err)
	}
	got := w.events()
	effect := map[plant.ID]int{}
	for _, e := range got {
		effect[e.ID]++
	}
	for id, n := range effect {
		if n != 3 {
			t.Errorf("event %s came %d times, want 3 copies under one id", id, n)
		}
	}
	if len(effect) == 0 {
		t.Error("no event came")
	}
}

func TestCloudEventHeaders(t *testing.T) {
	w := newWorld(t)
	who := w.tenant("acme")
	if _, err := w.relay(nil, w.out).Carry(t.Context()); err != nil {
		t.Fatal(err)
	}
	cl, err := broker.Client(w.kafka, kgo.ConsumeTopics(broker.TopicEvents), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var all []*kgo.Record
	for len(all) == 0 && t.Context().Err() == nil {
		all = cl.PollFetches(t.Context()).Records()
	}
	r := all[0]
	h := map[string]string{}
	for _, x := range r.Headers {
		h[x.Key] = string(x.Value)
	}
	// The attributes that CloudEvents 1.0 requires, and the ones we promise.
	for _, name := range []string{"ce_id", "ce_source", "ce_specversion", "ce_type", "ce_subject", "ce_time", "ce_sequence", "content-type"} {
		if h[name] == "" {
			t.Errorf("no header %s", name)
		}
	}
	if h["ce_specversion"] != "1.0" || h["ce_tenantid"] != who.Tenant.String() {
		t.Errorf("headers %v", h)
	}
	if _, err := time.Parse(time.RFC3339Nano, h["ce_time"]); err != nil {
		t.Error(err)
	}
	if !slices.Contains([]string{"com.foodflow.UserCreated", "com.foodflow.TenantCreated"}, h["ce_type"]) {
		t.Errorf("type %s", h["ce_type"])
	}
}
