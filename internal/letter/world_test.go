package letter_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/letter"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// lease is that of the tests: short, since a replay that was broken off is waited
// for. One that is slower than half of it is broken off, too.
const lease = 2 * time.Second

// world is a broker with letters.
type world struct {
	t     *testing.T
	cfg   broker.Config
	cl    *kgo.Client
	codec *schemas.Codec
	log   *broker.Log
}

func newWorld(t *testing.T) *world {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	w := &world{t: t, cfg: broker.DefaultConfig()}
	w.cfg.Brokers = k.ListenAddrs()
	if w.cl, err = broker.Client(w.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cl.Close)
	if err := broker.EnsureTopics(t.Context(), w.cl, 2); err != nil {
		t.Fatal(err)
	}
	if w.codec, err = schemas.NewStaticCodec(); err != nil {
		t.Fatal(err)
	}
	w.log = broker.NewLog(w.cfg, w.cl)
	return w
}

// bury writes n letters, numbered from from on.
func (w *world) bury(from, n int) {
	w.t.Helper()
	var msgs []broker.Message
	for i := from; i < from+n; i++ {
		value := []byte(fmt.Sprint(i))
		d := schemas.DeadLetter{ID: number(i), Topic: "door:" + fmt.Sprint(i), Partition: -1, Offset: -1, TS: 1, Value: &value, Reason: "ingest"}
		v, err := w.codec.AppendDeadLetter(nil, &d)
		if err != nil {
			w.t.Fatal(err)
		}
		msgs = append(msgs, broker.Message{Topic: broker.TopicDeadLetters, Key: d.ID[:], Value: v})
	}
	if err := broker.NewProducer(w.cl).Publish(w.t.Context(), msgs); err != nil {
		w.t.Fatal(err)
	}
}

func number(i int) plant.ID { return plant.NameID(plant.ID{}, fmt.Sprint(i)) }

// perLetter is how many records a letter of the tests holds.
const perLetter = 3

// door gives three records a letter, which say which they are.
func door(_ context.Context, d *schemas.DeadLetter) (out []broker.Message, _ error) {
	for i := range perLetter {
		out = append(out, broker.Message{Topic: broker.TopicReadings, Key: []byte(fmt.Sprint(i)), Value: fmt.Appendf(nil, "%s/%d", *d.Value, i)})
	}
	return out, nil
}

func all(*schemas.DeadLetter) bool { return true }

func (w *world) deps() letter.Deps {
	return letter.Deps{Log: w.log, Codec: w.codec, Publisher: broker.NewProducer(w.cl), Door: door, Logger: slog.New(slog.DiscardHandler)}
}

func config() letter.Config {
	cfg := letter.DefaultConfig()
	cfg.Lease = lease
	return cfg
}

func (w *world) replay(cfg letter.Config, deps letter.Deps) (letter.Tally, error) {
	w.t.Helper()
	r, err := letter.NewReplayer(cfg, deps)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Run(w.t.Context(), all)
}

// until replays until no letter is held any more, and gives what became of them
// over all runs.
func (w *world) until(cfg letter.Config, deps letter.Deps) (sum letter.Tally) {
	w.t.Helper()
	for range 100 {
		t, err := w.replay(cfg, deps)
		if err != nil {
			w.t.Fatal(err)
		}
		sum.Replayed, sum.Settled, sum.Kept, sum.Unsure = sum.Replayed+t.Replayed, sum.Settled+t.Settled, t.Kept, t.Unsure
		if t.Held == 0 {
			return sum
		}
		time.Sleep(lease / 4)
	}
	w.t.Fatal("letters stay held")
	return sum
}

// counted is how often each record of the letters counts by the processors' rule,
// and how many stand on the topic.
func (w *world) counted() (by map[string]int, stored int) {
	w.t.Helper()
	by = map[string]int{}
	_, err := w.log.ReadFrom(w.t.Context(), broker.TopicReadings, nil, func(s *broker.Stored) error {
		stored++
		for _, h := range s.Headers {
			if h.Key == letter.HeaderKey && letter.Overdue(h.Value, s.TS) {
				return nil
			}
		}
		by[string(s.Value)]++
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return by, stored
}

// figures are how many records of n letters are missing and how many count more
// than once.
func (w *world) figures(n int) (missing, extra int) {
	w.t.Helper()
	by, _ := w.counted()
	sum := 0
	for _, times := range by {
		sum += times
	}
	return n*perLetter - len(by), sum - len(by)
}

// publisher stands before the real one.
type publisher struct {
	letter.Publisher
	publish func(ctx context.Context, msgs []broker.Message) error
}

func (p publisher) Publish(ctx context.Context, msgs []broker.Message) error {
	if len(msgs) == 0 || msgs[0].Topic == broker.TopicDeadLetters {
		return p.Publisher.Publish(ctx, msgs)
	}
	return p.publish(ctx, msgs)
}

func arm(t *testing.T, spec string) {
	t.Helper()
	if err := fault.Arm(spec); err != nil {
		t.Fatal(err)
	}
}

// letterRefusal is what a door says of a letter that it doesn't take.
var letterRefusal = fault.New(fault.Forbidden, "suspended")

// forget removes all that a topic holds, as a retention of nothing would.
func (w *world) forget(topic string) {
	w.t.Helper()
	adm := kadm.NewClient(w.cl)
	now := "1"
	if _, err := adm.AlterTopicConfigs(w.t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &now}}, topic); err != nil {
		w.t.Fatal(err)
	}
	ends, err := adm.ListEndOffsets(w.t.Context(), topic)
	if err != nil {
		w.t.Fatal(err)
	}
	if r, err := adm.DeleteRecords(w.t.Context(), ends.Offsets()); err != nil || r.Error() != nil {
		w.t.Fatal(err, r.Error())
	}
}

// forgetLetters removes the first n records of the letters.
func (w *world) forgetLetters(n int64) {
	w.t.Helper()
	var gone kadm.Offsets
	gone.AddOffset(broker.TopicDeadLetters, 0, n, -1)
	if r, err := kadm.NewClient(w.cl).DeleteRecords(w.t.Context(), gone); err != nil || r.Error() != nil {
		w.t.Fatal(err, r.Error())
	}
}
