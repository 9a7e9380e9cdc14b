package run_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/internal/testkit"
	"github.com/foodflow/foodflow/processors/run"
	"github.com/foodflow/foodflow/schemas"
)

const partitions = 2

// world is Kafka, the ClickHouse engine and what a job needs to run on them.
type world struct {
	t     *testing.T
	kafka broker.Config
	ch    *clickhouse.Client
	codec *schemas.Codec
	cfg   stream.Config
	// inserter, when set, stands between the tasks and the sink.
	inserter func(run.Inserter) run.Inserter
}

// newWorld is a world on the embedded Kafka.
func newWorld(t *testing.T) *world {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return newWorldOn(t, k.ListenAddrs())
}

func newWorldOn(t *testing.T, seeds []string) *world {
	t.Helper()
	w := &world{t: t, kafka: broker.DefaultConfig()}
	w.kafka.Brokers = seeds
	var err error
	cl := w.client()
	if err := broker.EnsureTopics(t.Context(), cl, partitions); err != nil {
		t.Fatal(err)
	}
	ccfg := clickhouse.DefaultConfig()
	ccfg.URL, ccfg.Database = embeddedtest.Start(t), embeddedtest.Database(t)
	if w.ch, err = clickhouse.NewClient(ccfg); err != nil {
		t.Fatal(err)
	}
	if err := ddl.Apply(t.Context(), w.ch, ddl.DefaultOptions(8)); err != nil {
		t.Fatal(err)
	}
	if w.codec, err = schemas.NewStaticCodec(); err != nil {
		t.Fatal(err)
	}
	w.cfg = stream.DefaultConfig()
	w.cfg.Group = "processors"
	w.cfg.BatchRecords, w.cfg.MaxAge, w.cfg.Idle = 500, 50*time.Millisecond, 10*time.Millisecond
	w.cfg.HoldBack = 20 * time.Millisecond
	w.cfg.SnapshotEvery, w.cfg.SnapshotRecords = 20*time.Millisecond, 700
	return w
}

func (w *world) client(opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	cl, err := broker.Client(w.kafka, opts...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

// life runs one processor until ctx ends or it fails.
func (w *world) life(ctx context.Context) error {
	job, err := run.Open(w.cfg, run.JobDeps{
		Kafka: w.kafka, ClickHouse: w.ch, Codec: w.codec, Directory: directory.NewStore(), Logger: slog.New(slog.DiscardHandler), Inserter: w.inserter,
	})
	if err != nil {
		return err
	}
	defer job.Close()
	return job.Run(ctx)
}

// until runs processors one after the other, each until it fails, until done;
// it returns how many lives that took.
func (w *world) until(done func() bool) int {
	w.t.Helper()
	defer func() { _ = fault.Arm("") }()
	for life := 1; life < 10; life++ {
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		ended := make(chan error, 1)
		go func() { ended <- w.life(ctx) }()
		tick := time.NewTicker(20 * time.Millisecond)
		stopped := false
		for alive := true; alive; {
			select {
			case <-ended:
				alive = false
			case <-tick.C:
				if !stopped && done() {
					stopped = true
					cancel()
				}
			}
		}
		tick.Stop()
		cancel()
		if stopped {
			return life
		}
	}
	w.t.Fatal("the job does not get through")
	return 0
}

func (w *world) query(q string) string {
	w.t.Helper()
	out, err := w.ch.Exec(w.t.Context(), q+" FORMAT TSVRaw", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func (w *world) rows(table string) func(n int) func() bool {
	return func(n int) func() bool {
		return func() bool { return w.query("SELECT count() >= "+fmt.Sprint(n)+" FROM "+table) == "1" }
	}
}

// stored says that n readings are in the table, and in the rollups: what a batch
// holds back of these comes with a later one.
func (w *world) stored(n int) func() bool {
	return func() bool {
		return w.query(fmt.Sprintf("SELECT count() >= %[1]d AND (SELECT sum(count) FROM readings_1m) >= %[1]d FROM readings", n)) == "1"
	}
}

// reading i of sensor s of a plant with one line.
func (w *world) reading(s, i int) plant.Reading {
	tenant := plant.NameID(plant.ID{}, "tenant")
	return plant.Reading{
		Tenant: tenant, Line: plant.NameID(tenant, "line", fmt.Sprint(s%3)), Sensor: plant.NameID(tenant, "sensor", fmt.Sprint(s)),
		TS: start + int64(i)*1000, Value: float64(i % 17), Seq: int64(i),
	}
}

// start is a full minute some hours ago.
var start = time.Now().Add(-3 * time.Hour).Truncate(time.Minute).UnixMilli()

// produce writes sensors × n readings, each `times` times in a row of rounds.
func (w *world) produce(sensors, n, times int) {
	w.t.Helper()
	cl := w.client()
	for i := range n {
		for s := range sensors {
			r := w.reading(s, i)
			key := r.Key()
			for range times {
				cl.Produce(w.t.Context(), &kgo.Record{Topic: broker.TopicReadings, Key: key[:], Value: w.codec.AppendReading(nil, &r)}, nil)
			}
		}
	}
	if err := cl.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// windows are the points of a batch at which a processor may end: before the
// insert, in it, after it, after the commit, and around flush and snapshot.
var windows = []string{
	"sink.before_insert", "sink.in_insert", "sink.after_insert", "stream.before_flush", "stream.after_flush",
	"stream.before_commit", "stream.after_commit", "stream.before_snapshot", "stream.after_snapshot",
}

// TestEveryCrashPoint (P4): an error at the n-th passing of each point ends the
// processor (in an insert: the try); its successors leave each reading once in
// the table and in every rollup, with nothing missing. What was produced is known
// from Kafka's offsets. TestKilledAtEveryPoint in cmd/foodflow kills instead.
func TestEveryCrashPoint(t *testing.T) {
	const sensors, n = 6, 400
	for _, point := range windows {
		t.Run(point, func(t *testing.T) {
			for _, at := range []int{1, 2, 3 + rand.IntN(8)} {
				w := newWorld(t)
				w.produce(sensors, n, 1)
				if err := fault.Arm(fmt.Sprintf("%s:error@%d", point, at)); err != nil {
					t.Fatal(err)
				}
				lives := w.until(w.stored(sensors * n))
				acked := w.onKafka()
				missing, extra := w.compare(acked)
				rollups := w.query("SELECT (SELECT sum(count) FROM readings_1m), (SELECT sum(count) FROM readings_1h), (SELECT sum(count) FROM readings_1d)")
				t.Logf("passing %d, %d lives: on kafka %d, missing %d, extra %d, rollups %s", at, lives, acked, missing, extra, rollups)
				if want := fmt.Sprintf("%[1]d\t%[1]d\t%[1]d", acked); acked != sensors*n || missing != 0 || extra != 0 || rollups != want {
					t.Fatalf("want %d, 0, 0 and %s", sensors*n, want)
				}
			}
		})
	}
}

// onKafka is how many readings Kafka has, by its own offsets.
func (w *world) onKafka() int {
	w.t.Helper()
	ends, err := broker.EndOffsets(w.t.Context(), w.kafka, broker.TopicReadings)
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, end := range ends {
		n += int(end)
	}
	return n
}

// compare holds the table against what Kafka has: which of its positions are
// missing, how many rows are there for a position that has one already.
func (w *world) compare(acked int) (missing, extra int) {
	w.t.Helper()
	if _, err := fmt.Sscan(w.query(fmt.Sprintf("SELECT toInt64(%d) - uniqExact(_partition, _offset), count() - uniqExact(_partition, _offset) FROM readings", acked)), &missing, &extra); err != nil {
		w.t.Fatal(err)
	}
	return missing, extra
}

// TestOnApacheKafka runs the same pipeline on Apache Kafka: a crash between
// insert and commit, copies, and poison at once.
func TestOnApacheKafka(t *testing.T) {
	w := newWorldOn(t, testkit.Apache(t, 1).Seeds())
	w.produce(6, 300, 2)
	cl := w.client()
	for i := range 10 {
		cl.Produce(t.Context(), &kgo.Record{Topic: broker.TopicReadings, Key: []byte{byte(i)}, Value: []byte("{}")}, nil)
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := fault.Arm("stream.after_flush:error@2"); err != nil {
		t.Fatal(err)
	}
	lives := w.until(w.stored(1800))
	got := w.query("SELECT count(), uniqExact(_partition, _offset), uniqExact(sensor_id, seq), (SELECT sum(count) FROM readings_1m) FROM readings")
	if got != "1800\t1800\t1800\t1800" || lives < 2 {
		t.Fatalf("after %d lives: %s", lives, got)
	}
}

// blind sends every insert under a token of its own.
type blind struct {
	next run.Inserter
	n    *int
}

func (b blind) Insert(ctx context.Context, block sink.Block, _ string) error {
	*b.n++
	return b.next.Insert(ctx, block, fmt.Sprint("blind", *b.n))
}

// TestCrashWithoutTokensDoubles is the negative control of the test above.
func TestCrashWithoutTokensDoubles(t *testing.T) {
	w := newWorld(t)
	n := 0
	w.cfg.BatchRecords = 10_000 // one slot at a time inserts
	w.inserter = func(next run.Inserter) run.Inserter { return blind{next, &n} }
	w.produce(1, 400, 1)
	if err := fault.Arm("stream.after_flush:error@1"); err != nil {
		t.Fatal(err)
	}
	w.until(w.rows("readings")(401))
	if got := w.query("SELECT count() > 400 FROM readings"); got != "1" {
		t.Fatal("a crash between insert and commit doubled nothing without tokens")
	}
}

// TestOEEAndAnomaliesComeOut follows a line through a run, a stop and a spike.
func TestOEEAndAnomaliesComeOut(t *testing.T) {
	w := newWorld(t)
	cl := w.client()
	tenant := plant.NameID(plant.ID{}, "tenant")
	line := plant.NameID(tenant, "line", "0")
	send := func(e plant.LineEvent) {
		e.Tenant, e.Line, e.Seq = tenant, line, plant.NoSeq
		e.ID = plant.EventID(&e)
		for range 2 { // a copy changes nothing
			cl.Produce(t.Context(), &kgo.Record{Topic: broker.TopicLineEvents, Key: line[:], Value: w.codec.AppendLineEvent(nil, &e)}, nil)
		}
	}
	send(plant.LineEvent{TS: start, Type: plant.EventState, State: plant.StateExecute, Product: "cola"})
	send(plant.LineEvent{TS: start + 30_000, Type: plant.EventCount, Good: 90, Scrap: 10, Unit: "bottle"})
	send(plant.LineEvent{TS: start + 60_000, Type: plant.EventState, State: plant.StateHeld, Reason: "jam"})
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The events first, on their own: the client fetches the topics in no order,
	// and nothing would wait for an event that comes after the last reading.
	w.until(w.rows("line_events")(3))
	for i := range 400 {
		r := w.reading(0, i)
		if r.Value = float64(i % 5); i == 300 {
			r.Value = 1000
		}
		cl.Produce(t.Context(), &kgo.Record{Topic: broker.TopicReadings, Key: line[:], Value: w.codec.AppendReading(nil, &r)}, nil)
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.until(w.rows("readings")(400))
	if got := w.query("SELECT count(), any(kind), any(value), max(_offset) >= 300 FROM anomalies"); got != "1\tdeviation\t1000\t1" {
		t.Errorf("anomalies: %s", got)
	}
	if got := w.query("SELECT count() FROM line_events"); got != "3" {
		t.Errorf("%s line events of 3", got)
	}
	got := w.query("SELECT sum(running_ms), sum(minor_stop_ms), sum(breakdown_ms), sum(good), sum(total), any(product) FROM oee_parts WHERE minute < toDateTime(" + fmt.Sprint(start/1000+360) + ", 'UTC')")
	if got != "60000\t0\t300000\t90\t100\tcola" {
		t.Errorf("parts of the first six minutes: %s", got)
	}
	if got := w.query("SELECT max(score) > 0.9, countIf(score > 0.7) FROM readings"); got != "1\t1" {
		t.Errorf("scores: %s", got)
	}
}
