package main_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/httpin"
	"github.com/foodflow/foodflow/ingest/kafkaout"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/internal/testkit"
	"github.com/foodflow/foodflow/processors/run"
	"github.com/foodflow/foodflow/schemas"
)

// plumbing is ingest and the processors in this process, with a way of its own
// through the network for each of their connections.
type plumbing struct {
	*installation
	kafka broker.Config
	codec *schemas.Codec
	store *directory.Store
	ways  map[string]*testkit.Proxy
	ready map[string]func(context.Context) error // what /readyz asks, by way
	sink  func(run.Inserter) run.Inserter
}

// The ways.
const (
	ingestKafka     = "ingest and Kafka"
	processorsKafka = "processors and Kafka"
	processorsStore = "processors and ClickHouse"
)

func newPlumbing(t *testing.T, wrap func(run.Inserter) run.Inserter) *plumbing {
	t.Helper()
	// A session shorter than a fault, so that the group gives the slots away.
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	p := &plumbing{
		installation: &installation{t: t, log: &bytes.Buffer{}, Clickhouse: embeddedtest.Start(t)},
		kafka:        broker.DefaultConfig(), ways: map[string]*testkit.Proxy{}, ready: map[string]func(context.Context) error{}, sink: wrap,
	}
	p.kafka.Brokers = k.ListenAddrs()
	for _, w := range []string{ingestKafka, processorsKafka, processorsStore} {
		p.ways[w] = testkit.NewProxy(t)
	}
	p.codec, err = schemas.NewStaticCodec()
	p.must(err)
	cl, err := broker.Client(p.kafka)
	p.must(err)
	defer cl.Close()
	p.must(broker.EnsureTopics(t.Context(), cl, 2))
	direct := p.tables(p.Clickhouse)
	_, err = direct.ExecAnywhere(t.Context(), "DROP DATABASE IF EXISTS foodflow SYNC")
	p.must(err)
	p.must(ddl.Apply(t.Context(), direct, ddl.DefaultOptions(8)))
	p.plant()
	p.startIngest()
	p.startProcessors()
	return p
}

func (p *plumbing) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *plumbing) tables(addr string) *clickhouse.Client {
	p.t.Helper()
	cfg := clickhouse.DefaultConfig()
	cfg.URL = addr
	c, err := clickhouse.NewClient(cfg)
	p.must(err)
	return c
}

// plant is the demo plant's directory with a key.
func (p *plumbing) plant() {
	p.store = directory.NewStore()
	key, d := directory.NewKey(), demo.Describe()
	things := []any{d.Tenant, directory.APIKey{ID: plant.NewID(), Tenant: d.Tenant.ID, Public: key.Public, Hash: key.Hash(), Scopes: directory.Scopes()}}
	for _, l := range d.Lines {
		things = append(things, l.Line)
		for _, s := range l.Sensors {
			things = append(things, s.Sensor)
		}
	}
	p.must(directorytest.Enter(p.store, things...))
	p.APIKey = key.Reveal()
}

func (p *plumbing) startIngest() {
	kafka := p.kafka
	kafka.Dial = p.ways[ingestKafka].Dial
	out, err := kafkaout.New(kafka, kafkaout.DefaultConfig())
	p.must(err)
	svc, err := ingest.NewService(p.store, p.codec, out, ingest.DefaultLimits(), nil)
	p.must(err)
	door := httpin.New(httpin.DefaultConfig(), svc, slog.New(slog.DiscardHandler))
	p.must(door.Start(p.t.Context(), func(err error) { p.t.Error(err) }))
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := door.Stop(ctx); err != nil {
			p.t.Error(err)
		}
		_ = out.Close(ctx) // the test is over
	})
	p.Ingest, p.ready[ingestKafka] = "http://"+door.Addr(), out.Ready
}

// startProcessors keeps processors running as foodflow up does: one that ends
// is followed by another.
func (p *plumbing) startProcessors() {
	u, err := url.Parse(p.Clickhouse)
	p.must(err)
	front, err := p.ways[processorsStore].To(u.Host)
	p.must(err)
	ch := p.tables("http://" + front)
	kafka := p.kafka
	kafka.Dial = p.ways[processorsKafka].Dial
	probe, err := broker.OpenProducer(kafka)
	p.must(err)
	p.ready[processorsKafka] = probe.Ping
	p.ready[processorsStore] = func(ctx context.Context) error {
		_, err := ch.Exec(ctx, "SELECT 1", nil)
		return err
	}
	cfg := stream.DefaultConfig()
	cfg.Group, cfg.SessionTimeout = "processors", 2*time.Second
	deps := run.JobDeps{Kafka: kafka, ClickHouse: ch, Codec: p.codec, Directory: p.store, Logger: slog.New(slog.DiscardHandler), Inserter: p.sink}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			job, err := run.Open(cfg, deps)
			if err == nil {
				err = job.Run(ctx)
				job.Close()
			}
			if err != nil && ctx.Err() == nil {
				p.t.Log("a processor ended, another one follows: ", err)
				time.Sleep(100 * time.Millisecond) // as the supervisor does
			}
		}
	}()
	p.t.Cleanup(func() {
		cancel()
		<-done
		probe.Close()
	})
}

// notice gives the time until the readiness check of a way fails, or hangs for
// the three seconds that /readyz waits; 0 when neither happens in four. The
// fault lasts a second at least.
func (p *plumbing) notice(way string) time.Duration {
	began := time.Now()
	seen := time.Duration(0)
	for seen == 0 && time.Since(began) < 4*time.Second {
		ctx, cancel := context.WithTimeout(p.t.Context(), 3*time.Second)
		answer := make(chan error, 1)
		go func() {
			err := p.ready[way](ctx)
			answer <- err
		}()
		select {
		case err := <-answer:
			if err != nil {
				seen = time.Since(began)
			}
		case <-ctx.Done():
			seen = time.Since(began)
		}
		cancel()
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(time.Second - time.Since(began))
	return seen
}

// TestNetworkFaults (P18): each way is cut, loses answers, goes black and
// trickles under load. Nothing accepted is missing, nothing counts twice, and
// ingest accepts nothing that Kafka has not confirmed.
func TestNetworkFaults(t *testing.T) {
	p := newPlumbing(t, nil)
	acked := 0
	for _, way := range []string{ingestKafka, processorsKafka, processorsStore} {
		for _, f := range []testkit.Fault{testkit.Cut, testkit.DropReplies, testkit.BlackHole, testkit.Trickle} {
			l := p.load(3)
			time.Sleep(300 * time.Millisecond)
			p.ways[way].Set(f)
			// What was begun before may still be answered rightly.
			l.mark.Store(time.Now().UnixNano())
			time.Sleep(200 * time.Millisecond)
			l.marked.Store(0)
			seen := p.notice(way)
			if way != ingestKafka {
				p.until("ingest goes on", func() bool { return l.marked.Load() > 0 })
			}
			during := l.marked.Load()
			p.ways[way].Set(testkit.Pass)
			healed := time.Now()
			l.nextOK.Store(0)
			next := p.until(fmt.Sprintf("%s, %v: readings are accepted again", way, f), func() bool { return l.nextOK.Load() != 0 })
			acked += l.end()
			p.settled(acked)
			noticed := fmt.Sprintf("noticed after %.1f s", seen.Seconds())
			if seen == 0 {
				noticed = "not noticed"
			}
			t.Logf("%-26s %-13v %s; accepted meanwhile %d; after its end accepting again in %.1f s, all there in %.1f s", way, f, noticed, during, next.Seconds(), time.Since(healed).Seconds())
			if f == testkit.Trickle {
				continue // slow, not away
			}
			if seen == 0 {
				t.Errorf("%s, %v: readiness does not show it", way, f)
			}
			if way == ingestKafka && during != 0 {
				t.Errorf("%v: %d readings were accepted that Kafka did not confirm", f, during)
			}
		}
	}
	t.Logf("accepted %d, missing 0, extra 0", acked)
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

// TestNetworkFaultsWithoutTokens is the control: without tokens, answers that
// ClickHouse's way loses leave readings twice.
func TestNetworkFaultsWithoutTokens(t *testing.T) {
	n := 0
	p := newPlumbing(t, func(next run.Inserter) run.Inserter { return blind{next, &n} })
	l := p.load(1)
	defer l.end()
	p.until("readings are stored", func() bool { return p.holds(100) })
	for range 20 {
		p.ways[processorsStore].Set(testkit.DropReplies)
		p.notice(processorsStore)
		p.ways[processorsStore].Set(testkit.Pass)
		// An answer that was lost may have been of something else.
		for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			if p.query("SELECT count() > uniqExact(_partition, _offset) FROM foodflow.readings") == "1" {
				return
			}
		}
	}
	t.Fatal("lost answers doubled nothing without tokens: the proxy loses none")
}
