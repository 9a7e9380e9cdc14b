package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func cluster(t *testing.T) (Config, *kgo.Client) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cfg := DefaultConfig()
	cfg.Brokers = c.ListenAddrs()
	cl, err := Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cfg, cl
}

func publish(t *testing.T, cl *kgo.Client, topic string, from, to int) {
	t.Helper()
	var msgs []Message
	for i := from; i < to; i++ {
		msgs = append(msgs, Message{Topic: topic, Key: fmt.Append(nil, i%7), Value: fmt.Append(nil, topic, i)})
	}
	if err := NewProducer(cl).Publish(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
}

// TestFollowAndRange: what is published behind a position is followed, and the
// stretch between two positions is read again, whole and in order.
func TestFollowAndRange(t *testing.T) {
	cfg, cl := cluster(t)
	publish(t, cl, "a", 0, 50)
	from, err := Ends(t.Context(), cfg, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	publish(t, cl, "a", 50, 90)
	publish(t, cl, "b", 0, 30)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	at, seen := from.Clone(), map[string]bool{}
	err = Follow(ctx, cfg, from, slog.New(slog.DiscardHandler), func(e *Entry) {
		if at[e.Topic][e.Partition] != e.Offset {
			t.Errorf("%s/%d: offset %d after %d", e.Topic, e.Partition, e.Offset, at[e.Topic][e.Partition])
		}
		at[e.Topic][e.Partition]++
		if seen[string(e.Value)] = true; len(seen) == 70 {
			cancel()
		}
	})
	if err != nil || len(seen) != 70 || !errors.Is(ctx.Err(), context.Canceled) {
		t.Fatalf("followed %d, %v, %v", len(seen), err, ctx.Err())
	}
	again := map[string]bool{}
	publish(t, cl, "a", 90, 99) // behind the range
	if err := ReadRange(t.Context(), cfg, from, at, 70, func(e *Entry) error {
		again[string(e.Value)] = true
		return nil
	}); err != nil || fmt.Sprint(again) != fmt.Sprint(seen) {
		t.Errorf("the range has %d, %v", len(again), err)
	}
	none := func(*Entry) error { t.Error("a record of a range that can't be had"); return nil }
	back := at.Clone()
	back["a"][0]++
	for name, c := range map[string]struct {
		from, to Position
		most     int64
	}{
		"too long": {from, at, 69}, "backwards": {back, at, 1000}, "other partitions": {Position{"a": {0}}, at, 1000}, "another topic": {Position{"c": {0, 0, 0, 0}}, at, 1000},
		"negative": {Position{"a": {-5, 0, 0, 0}, "b": from["b"]}, at, 1000},
	} {
		if err := ReadRange(t.Context(), cfg, c.from, c.to, c.most, none); !errors.Is(err, ErrGap) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWatch reads the partitions that are wanted, from their end, and no other.
func TestWatch(t *testing.T) {
	cfg, cl := cluster(t)
	publish(t, cl, "a", 0, 50)
	w, err := NewWatch(t.Context(), cfg, "a")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	got, done := make(chan Entry, 1000), make(chan error, 1)
	go func() { done <- w.Run(ctx, slog.New(slog.DiscardHandler), func(e *Entry) { got <- *e }) }()
	key := []byte("3")
	p := PartitionOf(key, 4)
	w.Want(key)
	w.Want(key)
	w.Leave(key)
	for i := 0; ; i++ { // the end is looked up; what comes before that is not seen
		publish(t, cl, "a", 100+7*i, 107+7*i)
		select {
		case e := <-got:
			if e.Partition != p || e.Offset == 0 {
				t.Errorf("%d/%d, want partition %d from its end", e.Partition, e.Offset, p)
			}
		case <-time.After(50 * time.Millisecond):
			if i < 2400 {
				continue
			}
			t.Fatal("nothing came")
		}
		break
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
