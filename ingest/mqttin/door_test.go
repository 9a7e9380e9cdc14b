package mqttin_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/kafkaout"
	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// patience is how long a test waits for what must come; only a fault lets it
// pass.
const patience = 30 * time.Second

// tenant is a tenant with one sensor, one line and one key.
type tenant struct {
	id     plant.ID
	key    directory.APIKey
	secret string
}

// door is the real door before a real broker.
type door struct {
	*mqttin.Server
	t     *testing.T
	store *directory.Store
	reg   *prometheus.Registry
	kafka broker.Config
	out   *kafkaout.Out
	codec *schemas.Codec

	acme, rival tenant
	frozen      atomic.Bool // the broker answers no produce request
	thaw        chan struct{}
	version     int64
	mu          sync.Mutex // guards version
}

// setting changes a door before it is made.
type setting struct {
	config func(*mqttin.Config)
	limits func(*ingest.Limits)
	// output stands between the door and Kafka.
	output func(*kafkaout.Out) ingest.Output
	logger *slog.Logger
}

func newDoor(t *testing.T, with setting) *door {
	t.Helper()
	d := &door{t: t, store: directory.NewStore(), reg: prometheus.NewRegistry(), kafka: broker.DefaultConfig(), thaw: make(chan struct{})}
	d.startKafka()
	var err error
	if d.codec, err = schemas.NewStaticCodec(); err != nil {
		t.Fatal(err)
	}
	d.acme, d.rival = d.tenant("acme"), d.tenant("rival")
	out, err := kafkaout.New(d.kafka, kafkaout.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	d.out = out
	limits := ingest.DefaultLimits()
	if with.limits != nil {
		with.limits(&limits)
	}
	var output ingest.Output = out
	if with.output != nil {
		output = with.output(out)
	}
	svc, err := ingest.NewService(d.store, d.codec, output, limits, d.reg)
	if err != nil {
		t.Fatal(err)
	}
	cfg := mqttin.DefaultConfig()
	if with.config != nil {
		with.config(&cfg)
	}
	logger := with.logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if d.Server, err = mqttin.New(cfg, svc, kafkaout.DeadLetters{Out: out, Encoder: d.codec}, logger, d.reg); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.end)
	return d
}

func (d *door) end() {
	d.unfreeze()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := d.Stop(ctx); err != nil {
		d.t.Error(err)
	}
	if err := d.out.Close(ctx); err != nil {
		d.t.Error(err)
	}
}

func (d *door) startKafka() {
	d.t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(k.Close)
	d.kafka.Brokers = k.ListenAddrs()
	cl, err := broker.Client(d.kafka)
	if err != nil {
		d.t.Fatal(err)
	}
	defer cl.Close()
	if err := broker.EnsureTopics(d.t.Context(), cl, 4); err != nil {
		d.t.Fatal(err)
	}
	k.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		if d.frozen.Load() {
			k.SleepControl(func() { <-d.thaw })
		}
		return nil, nil, false
	})
}

// freeze makes the broker answer nothing until unfreeze.
func (d *door) freeze() { d.frozen.Store(true) }

func (d *door) unfreeze() {
	if d.frozen.Swap(false) {
		close(d.thaw)
	}
}

func (d *door) tenant(key string) tenant {
	k := directory.NewKey()
	x := tenant{id: plant.NewID(), secret: k.Reveal()}
	x.key = directory.APIKey{ID: plant.NewID(), Tenant: x.id, Public: k.Public, Hash: k.Hash(), Scopes: []string{directory.ScopeIngest}}
	line := plant.NewID()
	d.apply(
		directory.Tenant{ID: x.id, Key: key}, x.key,
		directory.Line{ID: line, Tenant: x.id, Key: "bottling", Unit: "bottle"},
		directory.Sensor{ID: plant.NewID(), Tenant: x.id, Line: line, Key: "temp", Unit: "degC", Kind: "temperature"},
	)
	return x
}

// apply enters things into the directory, as its follower does.
func (d *door) apply(things ...any) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, thing := range things {
		d.version++
		e, err := directory.EntryOf(d.version, thing)
		if err != nil {
			d.t.Fatal(err)
		}
		if err := d.store.Apply(&e); err != nil {
			d.t.Fatal(err)
		}
	}
}

// revoke revokes a tenant's key.
func (d *door) revoke(x tenant) {
	x.key.Revoked = true
	d.apply(x.key)
}

// records calls fn with every value of a topic, and gives how many there are.
func (d *door) records(topic string, fn func([]byte) error) int {
	d.t.Helper()
	n := 0
	err := broker.ReadTopic(d.t.Context(), d.kafka, topic, func(_ int32, _ int64, v []byte) error {
		n++
		return fn(v)
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

// readings are all that Kafka holds.
func (d *door) readings() []plant.Reading {
	d.t.Helper()
	var out []plant.Reading
	d.records(broker.TopicReadings, func(v []byte) error {
		var r plant.Reading
		err := d.codec.DecodeReading(v, &r)
		out = append(out, r)
		return err
	})
	return out
}

func (d *door) events() []plant.LineEvent {
	d.t.Helper()
	var out []plant.LineEvent
	d.records(broker.TopicLineEvents, func(v []byte) error {
		var e plant.LineEvent
		err := d.codec.DecodeLineEvent(v, &e)
		out = append(out, e)
		return err
	})
	return out
}

func (d *door) letters() []schemas.DeadLetter {
	d.t.Helper()
	var out []schemas.DeadLetter
	d.records(broker.TopicDeadLetters, func(v []byte) error {
		var l schemas.DeadLetter
		err := d.codec.DecodeDeadLetter(v, &l)
		out = append(out, l)
		return err
	})
	return out
}

// metric is the value of a figure, or the sum of those of its labels that are
// named.
func (d *door) metric(name string, label ...string) float64 {
	d.t.Helper()
	families, err := d.reg.Gather()
	if err != nil {
		d.t.Fatal(err)
	}
	sum, found := 0.0, false
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(label) > 0 && (len(m.GetLabel()) != 1 || m.GetLabel()[0].GetValue() != label[0]) {
				continue
			}
			found = true
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	if !found {
		d.t.Fatalf("no metric %s %v", name, label)
	}
	return sum
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// dial opens a socket that ends with the test.
func (d *door) dial() net.Conn {
	d.t.Helper()
	c, err := (&net.Dialer{}).DialContext(d.t.Context(), "tcp", d.Addr())
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	return c
}
