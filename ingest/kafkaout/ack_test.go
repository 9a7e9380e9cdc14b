package kafkaout_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/httpin"
	"github.com/foodflow/foodflow/ingest/kafkaout"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/testkit/leak"
	"github.com/foodflow/foodflow/schemas"
)

func TestMain(m *testing.M) { leak.Main(m) }

// early is the output with the protection off: it answers before Kafka does.
type early struct{ *kafkaout.Out }

func (e early) Publish(ctx context.Context, topic string, b *ingest.Batch) error {
	for i := range b.Len() {
		key, value := b.Record(i)
		k, v := slices.Clone(key[:]), slices.Clone(value) // the batch is given back at once
		go func() { _ = e.PublishRaw(context.WithoutCancel(ctx), topic, k, [][]byte{v}) }()
	}
	return nil
}

// counted says when so many requests are with the output.
type counted struct {
	ingest.Output
	begun atomic.Int64
}

func (c *counted) Publish(ctx context.Context, topic string, b *ingest.Batch) error {
	c.begun.Add(1)
	return c.Output.Publish(ctx, topic, b)
}

// line is a broker that can be cut off from its producers.
type line struct {
	cfg broker.Config
	cut atomic.Bool
	k   *kfake.Cluster
}

func newLine(t *testing.T) *line {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	l := &line{cfg: broker.DefaultConfig(), k: k}
	l.cfg.Brokers = k.ListenAddrs()
	k.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		return nil, errors.New("cut"), l.cut.Load() // the connection is closed, the request is not looked at
	})
	cl, err := broker.Client(l.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := broker.EnsureTopics(t.Context(), cl, 4); err != nil {
		t.Fatal(err)
	}
	return l
}

// freeze has the broker take produce requests in silence until thaw is called.
func (l *line) freeze() (thaw func()) {
	frozen := make(chan struct{})
	l.k.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		l.k.KeepControl()
		l.k.SleepControl(func() { <-frozen })
		return nil, nil, false
	})
	return func() { close(frozen) }
}

// stored gives the sequence numbers on the topic.
func (l *line) stored(t *testing.T, codec *schemas.Codec) map[int64]int {
	t.Helper()
	out := map[int64]int{}
	err := broker.ReadTopic(t.Context(), l.cfg, broker.TopicReadings, func(_ int32, _ int64, v []byte) error {
		var r plant.Reading
		err := codec.DecodeReading(v, &r)
		out[r.Seq]++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// crashes runs the door some times over one broker. Each time some requests go
// well, then the broker is cut off while others are on their way, and the
// process ends with what its producer holds. It gives what clients were told is
// accepted, and what of it is missing.
func crashes(t *testing.T, protect func(*kafkaout.Out) ingest.Output) (acked, missing int) {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	l := newLine(t)
	store, key := plantOfOne(t)
	var mu sync.Mutex // guards journal
	var journal []int64
	for round := range int64(4) {
		out, err := kafkaout.New(l.cfg, kafkaout.DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		output := &counted{Output: protect(out)}
		svc, err := ingest.NewService(store, codec, output, ingest.DefaultLimits(), nil)
		if err != nil {
			t.Fatal(err)
		}
		door := httpin.New(httpin.DefaultConfig(), svc, slog.New(slog.DiscardHandler))
		if err := door.Start(t.Context(), func(err error) { t.Error(err) }); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		send := func(seq int64) {
			wg.Go(func() {
				if post(t, door.Addr(), key, seq) == http.StatusAccepted {
					mu.Lock()
					defer mu.Unlock()
					journal = append(journal, seq)
				}
			})
		}
		for i := range int64(25) {
			send(round*100 + i)
		}
		wg.Wait()
		l.cut.Store(true)
		for i := range int64(25) {
			send(round*100 + 50 + i)
		}
		for deadline := time.Now().Add(2 * time.Minute); output.begun.Load() < 50; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the requests don't reach the output")
			}
		}
		dead, cancel := context.WithCancel(t.Context())
		cancel()
		if err := out.Close(dead); err == nil {
			t.Error("the producer had nothing left to lose")
		}
		wg.Wait()
		if err := door.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		l.cut.Store(false)
	}
	have := l.stored(t, codec)
	for _, seq := range journal {
		if have[seq] == 0 {
			missing++
		}
	}
	return len(journal), missing
}

// TestAnswerComesAfterTheAck (P1): what a client was told is accepted is on
// Kafka, whatever the process had in its hands when it ended. The control
// answers before the ack, and loses readings.
func TestAnswerComesAfterTheAck(t *testing.T) {
	acked, missing := crashes(t, func(o *kafkaout.Out) ingest.Output { return o })
	t.Logf("answer after the ack:   acked %d, missing %d", acked, missing)
	if acked < 100 || missing > 0 {
		t.Errorf("acked %d, missing %d", acked, missing)
	}
	acked, missing = crashes(t, func(o *kafkaout.Out) ingest.Output { return early{o} })
	t.Logf("control, before it:     acked %d, missing %d", acked, missing)
	if missing == 0 {
		t.Error("answers before the ack lose nothing: the test shows nothing")
	}
}

func plantOfOne(t *testing.T) (*directory.Store, string) {
	t.Helper()
	store, key, tenant := directory.NewStore(), directory.NewKey(), plant.NewID()
	if err := directorytest.Enter(store,
		directory.Tenant{ID: tenant, Key: "acme"},
		directory.Sensor{ID: plant.NewID(), Tenant: tenant, Line: plant.NewID(), Key: "temp", Unit: "degC", Kind: "temperature"},
		directory.APIKey{ID: plant.NewID(), Tenant: tenant, Public: key.Public, Hash: key.Hash(), Scopes: []string{directory.ScopeIngest}},
	); err != nil {
		t.Fatal(err)
	}
	return store, key.Reveal()
}

// post gives the status, or 0 when there was no answer.
func post(t *testing.T, addr, key string, seq int64) int {
	body := fmt.Sprintf(`{"readings":[{"sensor":"temp","ts":%d,"value":1,"seq":%d}]}`, time.Now().UnixMilli(), seq)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/v1/readings", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Error(err)
		return 0
	}
	r.Header.Set("X-API-Key", key)
	r.Header.Set("Content-Type", "application/json")
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestFrozenKafkaIsAnswered: Kafka takes a request and is silent. Producers are
// told so within the delivery time, and what they sent is stored whole once Kafka
// goes on, whatever was sent meanwhile.
func TestFrozenKafkaIsAnswered(t *testing.T) {
	l := newLine(t)
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	store, key := plantOfOne(t)
	cfg := kafkaout.DefaultConfig()
	cfg.Delivery = time.Second
	out, err := kafkaout.New(l.cfg, cfg)
	if err != nil {
		t.Fatal(err)
	}
	svc, err := ingest.NewService(store, codec, out, ingest.DefaultLimits(), nil)
	if err != nil {
		t.Fatal(err)
	}
	door := httpin.New(httpin.DefaultConfig(), svc, slog.New(slog.DiscardHandler))
	if err := door.Start(t.Context(), func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	// The delivery time is short here, so a slow machine may need more than one try.
	accepted := func(when string, seq int64) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); ; {
			got := post(t, door.Addr(), key, seq)
			if got == http.StatusAccepted {
				return
			}
			if got != http.StatusServiceUnavailable || time.Now().After(deadline) {
				t.Fatalf("with Kafka %s: %d", when, got)
			}
		}
	}
	accepted("there", 1)
	thaw := l.freeze()
	for seq := int64(2); seq < 5; seq++ {
		began := time.Now()
		if got := post(t, door.Addr(), key, seq); got != http.StatusServiceUnavailable {
			t.Errorf("with Kafka frozen: %d", got)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("the answer took %v", took)
		}
	}
	thaw()
	accepted("back", 6)
	if err := errors.Join(door.Stop(t.Context()), out.Close(t.Context())); err != nil {
		t.Error(err)
	}
	have := l.stored(t, codec)
	for seq := int64(1); seq <= 6; seq++ {
		if have[seq] == 0 && (seq == 1 || seq == 2 || seq == 6) {
			t.Errorf("reading %d is not stored: %v", seq, have)
		}
	}
	for seq := range have {
		if seq < 1 || seq > 6 {
			t.Errorf("reading %d was never sent", seq)
		}
	}
}
