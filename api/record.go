package api

import (
	"context"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Encoder makes record values; schemas.Codec is one.
type Encoder interface {
	AppendReading(dst []byte, r *plant.Reading) []byte
	AppendLineEvent(dst []byte, e *plant.LineEvent) []byte
}

// Publisher sends records and returns after their acks; broker.Producer is one.
type Publisher interface {
	Publish(ctx context.Context, msgs []broker.Message) error
}

// KafkaRecorder is the Recorder that writes the topics ingest writes.
type KafkaRecorder struct {
	enc Encoder
	out Publisher
}

// NewRecorder makes a recorder.
func NewRecorder(enc Encoder, out Publisher) *KafkaRecorder { return &KafkaRecorder{enc, out} }

// publishLimit bounds the wait for Kafka's ack.
const publishLimit = 10 * time.Second

func (k *KafkaRecorder) publish(ctx context.Context, msgs []broker.Message) error {
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	if err := k.out.Publish(ctx, msgs); err != nil {
		return fault.NewUnavailable(time.Second, err, "Kafka did not acknowledge; the readings may or may not be stored, and may be sent again")
	}
	return nil
}

// Readings publishes readings.
func (k *KafkaRecorder) Readings(ctx context.Context, readings []plant.Reading) error {
	msgs := make([]broker.Message, len(readings))
	for i := range readings {
		key := readings[i].Key()
		msgs[i] = broker.Message{Topic: broker.TopicReadings, Key: key[:], Value: k.enc.AppendReading(nil, &readings[i])}
	}
	return k.publish(ctx, msgs)
}

// LineEvents publishes line events.
func (k *KafkaRecorder) LineEvents(ctx context.Context, events []plant.LineEvent) error {
	msgs := make([]broker.Message, len(events))
	for i := range events {
		key := events[i].Key()
		msgs[i] = broker.Message{Topic: broker.TopicLineEvents, Key: key[:], Value: k.enc.AppendLineEvent(nil, &events[i])}
	}
	return k.publish(ctx, msgs)
}
