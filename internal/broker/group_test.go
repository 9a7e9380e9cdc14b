package broker_test

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/foodflow/foodflow/internal/broker"
)

// TestGroupEndsWhileItJoins: a member that is told to end while its join waits
// for one that died ends within seconds. The control: the join does wait.
func TestGroupEndsWhileItJoins(t *testing.T) {
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	cfg := broker.DefaultConfig()
	cfg.Brokers = k.ListenAddrs()
	// The dead member: its session is a minute, and it goes without a word.
	life, die := context.WithCancel(t.Context())
	dead, err := broker.Client(cfg, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.SessionTimeout(time.Minute), kgo.WithContext(life))
	if err != nil {
		t.Fatal(err)
	}
	produce(t, cfg, 0)
	if fs := dead.PollFetches(t.Context()); fs.NumRecords() != 1 {
		t.Fatal("the first member reads nothing")
	}
	die()
	dead.Close()

	joins := make(chan struct{}, 100)
	k.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		joins <- struct{}{}
		return nil, nil, false
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended, read := make(chan error, 1), make(chan struct{}, 100)
	go func() {
		ended <- broker.ReadGroup(ctx, cfg, "g", []string{"t"}, slog.New(slog.DiscardHandler), func(context.Context, []broker.Record) error {
			read <- struct{}{}
			return nil
		}, nil)
	}()
	<-joins
	select {
	case <-read:
		t.Fatal("the control: the join doesn't wait")
	case err := <-ended:
		t.Fatal("ended by itself: ", err)
	case <-time.After(time.Second):
	}
	cancel()
	start := time.Now()
	select {
	case err := <-ended:
		t.Logf("ended %v after it was told, with %v", time.Since(start).Round(time.Millisecond), err)
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("doesn't end while it joins")
	}
}

func produce(t *testing.T, cfg broker.Config, i int) {
	t.Helper()
	cl, err := broker.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte(strconv.Itoa(i))}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
