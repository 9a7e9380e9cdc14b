package broker

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/telemetry"
)

// Message is a record to publish.
type Message struct {
	Topic      string
	Key, Value []byte
	Headers    []kgo.RecordHeader
}

// Producer publishes with acks from all in-sync replicas, idempotently.
type Producer struct{ cl *kgo.Client }

// NewProducer makes a producer on a client, which the caller closes.
func NewProducer(cl *kgo.Client) *Producer { return &Producer{cl: cl} }

// OpenProducer makes a producer on a client of its own; Close ends both.
func OpenProducer(c Config) (*Producer, error) {
	cl, err := Client(c)
	if err != nil {
		return nil, err
	}
	return NewProducer(cl), nil
}

// Ping asks Kafka for a sign of life.
func (p *Producer) Ping(ctx context.Context) error { return p.cl.Ping(ctx) }

// Close ends the client.
func (p *Producer) Close() { p.cl.Close() }

// TraceHeaders are a trace's headers as Kafka's.
func TraceHeaders(trace []telemetry.Pair) (out []kgo.RecordHeader) {
	for _, h := range trace {
		out = append(out, kgo.RecordHeader{Key: h.Name, Value: h.Value})
	}
	return out
}

// Publish returns once every message is acknowledged, or with the first error;
// then any part of them may have been stored, and publishing them all again is
// safe for consumers that deduplicate by id.
func (p *Producer) Publish(ctx context.Context, msgs []Message) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex // guards errs
		errs error
	)
	ctx, span := telemetry.Start(ctx, "publish")
	span.Int("messaging.batch.message_count", len(msgs))
	defer func() { span.End(errs) }()
	trace := TraceHeaders(telemetry.Headers(ctx))
	wg.Add(len(msgs))
	for i := range msgs {
		m := &msgs[i]
		r := &kgo.Record{Topic: m.Topic, Key: m.Key, Value: m.Value, Headers: m.Headers}
		if trace != nil {
			r.Headers = append(slices.Clip(r.Headers), trace...)
		}
		p.cl.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				mu.Lock()
				if errs == nil {
					errs = fmt.Errorf("publishing to %s: %w", m.Topic, err)
				}
				mu.Unlock()
			}
			wg.Done()
		})
	}
	wg.Wait()
	return errs
}
