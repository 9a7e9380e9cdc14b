package brokertest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
)

// Through puts records on the topics of a broker of its own under one key and
// reads them as a group until handle has taken every one, which half a minute
// must do. Records of different topics may come in another order than given.
func Through(t testing.TB, group string, topics []string, key []byte, records []broker.Record, handle func(context.Context, []broker.Record) error) {
	t.Helper()
	cfg, cl := open(t)
	var msgs []broker.Message
	for _, r := range records {
		msgs = append(msgs, broker.Message{Topic: r.Topic, Key: key, Value: r.Value})
	}
	publish(t, cl, msgs...)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	handled := 0
	err := broker.ReadGroup(ctx, cfg, group, topics, slog.New(slog.DiscardHandler), func(ctx context.Context, rs []broker.Record) error {
		err := handle(ctx, rs)
		if err == nil {
			handled += len(rs)
		}
		if handled == len(records) {
			cancel()
		}
		return err
	}, nil)
	if err != nil || !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("%d of %d records were taken: %v, %v", handled, len(records), err, ctx.Err())
	}
}

// Reader is one process's reader of topics, which remembers something of them.
type Reader interface {
	Handle(ctx context.Context, records []broker.Record) error
	Forget()
}

// Elsewhere lets the one partition of a broker of its own go from reader a to b
// and back; each reads one record. Unless told of it, they don't forget.
func Elsewhere(t testing.TB, group string, topics []string, key []byte, a, b Reader, told bool, records [3]broker.Record) {
	t.Helper()
	cfg, cl := open(t)
	for i, x := range []Reader{a, b, a} {
		var moved func()
		if told {
			moved = x.Forget
		}
		publish(t, cl, broker.Message{Topic: records[i].Topic, Key: key, Value: records[i].Value})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		handled := 0
		go func() { // ends the turn, or itself with the turn
			defer cancel()
			for ctx.Err() == nil && committed(ctx, cl, group) <= int64(i) {
				time.Sleep(10 * time.Millisecond)
			}
		}()
		err := broker.ReadGroup(ctx, cfg, group, topics, slog.New(slog.DiscardHandler), func(ctx context.Context, rs []broker.Record) error {
			err := x.Handle(ctx, rs)
			if err == nil {
				handled += len(rs)
			}
			return err
		}, moved)
		cancel()
		if err != nil || handled != 1 {
			t.Fatalf("turn %d: %d records, %v", i, handled, err)
		}
	}
}

// committed is how many records of all topics a group has done with.
func committed(ctx context.Context, cl *kgo.Client, group string) (n int64) {
	offsets, err := kadm.NewClient(cl).FetchOffsets(ctx, group)
	if err != nil {
		return 0
	}
	offsets.Each(func(o kadm.OffsetResponse) { n += max(o.At, 0) })
	return n
}

// open starts a broker of one partition a topic.
func open(t testing.TB) (broker.Config, *kgo.Client) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := broker.DefaultConfig()
	cfg.Brokers = cluster.ListenAddrs()
	cl, err := broker.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if err := broker.EnsureTopics(t.Context(), cl, 1); err != nil {
		t.Fatal(err)
	}
	return cfg, cl
}

func publish(t testing.TB, cl *kgo.Client, msgs ...broker.Message) {
	t.Helper()
	if err := broker.NewProducer(cl).Publish(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
}
