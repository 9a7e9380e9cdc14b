package broker

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestPublishEndsWithItsContext: Kafka takes a request and never answers. Whoever
// publishes gets back when the context ends.
func TestPublishEndsWithItsContext(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cfg := DefaultConfig()
	cfg.Brokers = c.ListenAddrs()
	p, err := OpenProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Publish(t.Context(), []Message{{Topic: "a", Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	defer close(release)
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		c.SleepControl(func() { <-release })
		return nil, nil, false
	})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Publish(ctx, []Message{{Topic: "a", Value: []byte("y")}}) }()
	select {
	case err := <-done:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("not back long after its context ended")
	}
}

// TestLargeMessages publishes what is larger than a client's batches, among
// others: as much as the topic lets pass goes through, compressed or not, and
// what it doesn't is refused by name.
func TestLargeMessages(t *testing.T) {
	cfg, cl := cluster(t)
	if err := EnsureTopics(t.Context(), cl, 1); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 3<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	values := [][]byte{[]byte("small"), noise[:1<<20+1000], bytes.Repeat([]byte("x"), 20<<20), []byte("small too")}
	var msgs []Message
	for _, v := range values {
		msgs = append(msgs, Message{Topic: TopicDeadLetters, Value: v})
	}
	p := NewProducer(cl)
	if err := p.Publish(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	found := map[int]int{}
	if err := ReadTopic(t.Context(), cfg, TopicDeadLetters, func(_ int32, _ int64, v []byte) error {
		found[len(v)]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if found[len(v)] != 1 {
			t.Errorf("a message of %d bytes is there %d times", len(v), found[len(v)])
		}
	}
	if err := p.Publish(t.Context(), []Message{{Topic: TopicDeadLetters, Value: noise}}); err == nil {
		t.Error("three MiB of noise passed a topic that takes two")
	}
}
