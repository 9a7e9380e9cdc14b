package broker

import (
	"context"
	"fmt"
	"slices"

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

// Publish returns once every message is acknowledged, with the first error, or
// when ctx ends; but for the first, any part of them may have been stored or be
// so later, and publishing them all again is safe for consumers that deduplicate
// by id. The messages' memory must not be used again.
func (p *Producer) Publish(ctx context.Context, msgs []Message) (err error) {
	ctx, span := telemetry.Start(ctx, "publish")
	span.Int("messaging.batch.message_count", len(msgs))
	defer func() { span.End(err) }()
	trace := TraceHeaders(telemetry.Headers(ctx))
	answers := make(chan error, len(msgs))
	var large []*kgo.Record
	for i := range msgs {
		m := &msgs[i]
		r := &kgo.Record{Topic: m.Topic, Key: m.Key, Value: m.Value, Headers: m.Headers}
		if trace != nil {
			r.Headers = append(slices.Clip(r.Headers), trace...)
		}
		if size(r) > ordinary {
			large = append(large, r)
			continue
		}
		p.cl.Produce(ctx, r, func(r *kgo.Record, err error) { answers <- named(r, err) })
	}
	for range len(msgs) - len(large) {
		if err := answer(ctx, answers); err != nil {
			return err
		}
	}
	return p.publishLarge(ctx, large, answers)
}

// publishLarge publishes messages one by one.
func (p *Producer) publishLarge(ctx context.Context, recs []*kgo.Record, answers chan error) error {
	if len(recs) == 0 {
		return nil
	}
	cl, err := kgo.NewClient(append(p.cl.Opts(), kgo.ProducerBatchMaxBytes(immense), kgo.BrokerMaxWriteBytes(immense+1<<20),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()))...)
	if err != nil {
		return fmt.Errorf("opening client for large messages: %w", err)
	}
	defer cl.Close()
	for _, r := range recs {
		cl.Produce(ctx, r, func(r *kgo.Record, err error) { answers <- named(r, err) })
		if err := answer(ctx, answers); err != nil {
			return err
		}
	}
	return nil
}

// A client refuses what is larger than its largest batch, uncompressed, and the
// topics bound batches as they are sent. So what may not fit with others goes
// alone, by a client that lets the topic decide: a dead letter is its record and
// a little more, and its record passed as part of a batch.
const (
	ordinary = 900_000
	immense  = 96 << 20
)

func size(r *kgo.Record) int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

func named(r *kgo.Record, err error) error {
	if err != nil {
		return fmt.Errorf("publishing to %s: %w", r.Topic, err)
	}
	return nil
}

// answer waits for one of the client's answers. The client gives none while a
// request is with a broker that is silent, whatever becomes of the context.
func answer(ctx context.Context, answers <-chan error) error {
	select {
	case err := <-answers:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for Kafka: %w", context.Cause(ctx))
	}
}
