package broker

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// TestMovedBeforeTheNextRecords: a member that stays is told when partitions went
// to another and came back, before it gets the next of their records.
func TestMovedBeforeTheNextRecords(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := DefaultConfig()
	cfg.Brokers = cluster.ListenAddrs()
	cl, err := Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if err := EnsureTopics(t.Context(), cl, 2); err != nil {
		t.Fatal(err)
	}
	// member reads until its context ends; took counts its records, told how often
	// it was told of a move by the time of the latest.
	member := func(ctx context.Context, took, told *atomic.Int64) chan error {
		done, moves := make(chan error, 1), int64(0)
		go func() {
			done <- ReadGroup(ctx, cfg, "g", []string{TopicOEE}, slog.New(slog.DiscardHandler), func(_ context.Context, rs []Record) error {
				told.Store(moves)
				took.Add(int64(len(rs)))
				return nil
			}, func() { moves++ })
		}()
		return done
	}
	send := func() {
		t.Helper()
		var msgs []Message
		for _, k := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} { // both partitions
			msgs = append(msgs, Message{Topic: TopicOEE, Key: []byte(k), Value: []byte("x")})
		}
		if err := NewProducer(cl).Publish(t.Context(), msgs); err != nil {
			t.Fatal(err)
		}
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("never: ", what)
			}
		}
	}
	var tookA, toldA, tookB, toldB atomic.Int64
	ctxA, stopA := context.WithCancel(t.Context())
	defer stopA()
	doneA := member(ctxA, &tookA, &toldA)
	send()
	until("A reads all", func() bool { return tookA.Load() == 8 })
	if toldA.Load() != 1 {
		t.Errorf("told %d times at first", toldA.Load())
	}
	send()
	until("A reads all again", func() bool { return tookA.Load() == 16 })
	if toldA.Load() != 1 {
		t.Errorf("told %d times without a move", toldA.Load())
	}
	ctxB, stopB := context.WithCancel(t.Context())
	defer stopB()
	doneB := member(ctxB, &tookB, &toldB)
	until("B has a part", func() bool { send(); return tookB.Load() > 0 })
	stopB()
	if err := <-doneB; err != nil {
		t.Error(err)
	}
	before := toldA.Load()
	until("A is told", func() bool { send(); return toldA.Load() > before || toldA.Load() > 2 })
	stopA()
	if err := <-doneA; err != nil {
		t.Error(err)
	}
}
