// Package kafkaout is ingest's way to Kafka: an idempotent producer with acks
// from all in-sync replicas.
package kafkaout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/telemetry"
	"github.com/foodflow/foodflow/schemas"
)

// Config bounds the producer.
type Config struct {
	// BufferedBytes is how much may wait for Kafka; past it requests are refused.
	BufferedBytes int
	// Delivery is how long a record is tried.
	Delivery time.Duration
	// Linger is how long a batch may wait for more records. Without it a batch
	// goes as soon as Kafka can take one, and under load what comes meanwhile
	// makes the next one large: waiting would add to every answer and spare
	// nothing.
	Linger time.Duration
}

// DefaultConfig refuses work once 128 MiB wait for Kafka.
func DefaultConfig() Config {
	return Config{BufferedBytes: 128 << 20, Delivery: 30 * time.Second}
}

// Out publishes batches.
type Out struct {
	cl *kgo.Client
	// patience is how long Publish waits for its answers. The client itself ends a
	// record's tries after Config.Delivery, but not while a request is under way,
	// since it may have been stored: a broker that is frozen answers neither.
	patience time.Duration
}

// New opens the producer; it connects on first use.
func New(kafka broker.Config, cfg Config) (*Out, error) {
	cl, err := broker.Client(kafka,
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordDeliveryTimeout(cfg.Delivery),
		kgo.ProducerLinger(cfg.Linger),
		kgo.MaxBufferedBytes(cfg.BufferedBytes),
		kgo.MaxBufferedRecords(2_000_000),
		kgo.ProducerBatchMaxBytes(1_000_000),
		kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()),
	)
	if err != nil {
		return nil, err
	}
	return &Out{cl: cl, patience: cfg.Delivery + time.Second}, nil
}

// Close flushes what is buffered and ends the producer.
func (o *Out) Close(ctx context.Context) error {
	defer o.cl.Close()
	if err := o.cl.Flush(ctx); err != nil {
		return fmt.Errorf("flushing producer: %w", err)
	}
	return nil
}

// Ready reports whether Kafka answers.
func (o *Out) Ready(ctx context.Context) error { return o.cl.Ping(ctx) }

// Publish returns once Kafka acknowledged every record of the batch, or with an
// error, a second after Config.Delivery at the latest. When it fails, some records
// may be stored, or be so later; the producer's copies count once.
func (o *Out) Publish(ctx context.Context, topic string, b *ingest.Batch) error {
	done := make(chan error, 1)
	o.Begin(ctx, topic, b, func(err error) { done <- err })
	late := time.NewTimer(o.patience)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		b.Leave()
		return refusal(errUnanswered)
	}
}

var errUnanswered = errors.New("no answer within the delivery time")

// Begin hands the batch's records to the producer and returns. done is called
// once, when all are answered; until then the batch must not be touched.
func (o *Out) Begin(ctx context.Context, topic string, b *ingest.Batch, done func(error)) {
	n := b.Len()
	if n == 0 {
		done(nil)
		return
	}
	recs := make([]kgo.Record, n)
	var left atomic.Int64
	var first atomic.Pointer[error]
	left.Store(int64(n))
	ack := func(_ *kgo.Record, err error) {
		if err != nil {
			first.CompareAndSwap(nil, &err)
		}
		if left.Add(-1) > 0 {
			return
		}
		if p := first.Load(); p != nil {
			done(refusal(*p))
			return
		}
		done(nil)
	}
	// The records alias the batch: a client that goes away must not end the
	// wait for the answers.
	ctx = context.WithoutCancel(ctx)
	trace, marks := broker.TraceHeaders(telemetry.Headers(ctx)), b.Marks()
	var last *kgo.Record
	for i := range recs {
		key, value := b.Record(i)
		recs[i] = kgo.Record{Topic: topic, Key: key[:], Value: value}
		if len(marks) > 0 && marks[0].At == i { // another message of those in the batch
			trace, last, marks = broker.TraceHeaders(marks[0].Trace), nil, marks[1:]
		}
		// A traced request says so once a line: a thousand readings in one
		// partition need no thousand headers.
		if trace != nil && (last == nil || !bytes.Equal(last.Key, recs[i].Key)) {
			recs[i].Headers, last = trace, &recs[i]
		}
		o.cl.TryProduce(ctx, &recs[i], ack)
	}
}

// PublishRaw publishes values under one key and returns once Kafka has them.
func (o *Out) PublishRaw(ctx context.Context, topic string, key []byte, values [][]byte) error {
	recs := make([]*kgo.Record, len(values))
	for i, v := range values {
		recs[i] = &kgo.Record{Topic: topic, Key: key, Value: v}
	}
	return o.cl.ProduceSync(ctx, recs...).FirstErr()
}

// DeadLetterEncoder encodes dead letters.
type DeadLetterEncoder interface {
	AppendDeadLetter(dst []byte, d *schemas.DeadLetter) ([]byte, error)
}

// DeadLetters publishes what a door can't read.
type DeadLetters struct {
	Out     *Out
	Encoder DeadLetterEncoder
}

// DeadLetter returns once Kafka has the letter.
func (d DeadLetters) DeadLetter(ctx context.Context, letter *schemas.DeadLetter) error {
	v, err := d.Encoder.AppendDeadLetter(nil, letter)
	if err != nil {
		return err
	}
	if err := d.Out.PublishRaw(ctx, broker.TopicDeadLetters, letter.ID[:], [][]byte{v}); err != nil {
		return fmt.Errorf("publishing dead letter: %w", err)
	}
	return nil
}

// refusal words a produce error for the producer.
func refusal(err error) error {
	if errors.Is(err, kgo.ErrMaxBuffered) {
		return fault.NewUnavailable(time.Second, err, "Kafka can't keep up; send the request again")
	}
	return fault.NewUnavailable(2*time.Second, err, "Kafka did not acknowledge; some records may be stored: send the whole request again, copies count once")
}
