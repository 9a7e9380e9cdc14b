package brokertest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/foodflow/foodflow/internal/broker"
)

// Through puts records on the topics of a broker of its own under one key and
// reads them as a group until handle has taken every one, which half a minute
// must do. Records of different topics may come in another order than given.
func Through(t testing.TB, group string, topics []string, key []byte, records []broker.Record, handle func(context.Context, []broker.Record) error) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	cfg := broker.DefaultConfig()
	cfg.Brokers = cluster.ListenAddrs()
	cl, err := broker.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := broker.EnsureTopics(t.Context(), cl, 1); err != nil {
		t.Fatal(err)
	}
	var msgs []broker.Message
	for _, r := range records {
		msgs = append(msgs, broker.Message{Topic: r.Topic, Key: key, Value: r.Value})
	}
	if err := broker.NewProducer(cl).Publish(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	handled := 0
	err = broker.ReadGroup(ctx, cfg, group, topics, slog.New(slog.DiscardHandler), func(ctx context.Context, rs []broker.Record) error {
		err := handle(ctx, rs)
		if err == nil {
			handled += len(rs)
		}
		if handled == len(records) {
			cancel()
		}
		return err
	})
	if err != nil || !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("%d of %d records were taken: %v, %v", handled, len(records), err, ctx.Err())
	}
}
