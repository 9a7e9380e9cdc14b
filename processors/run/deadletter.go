package run

import (
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/schemas"
)

// deadLetter wraps a poison record, whole, with where it stood and why it was
// refused. Its id derives from its place, so copies after a crash are one.
func (t *task) deadLetter(b *stream.Batch, d *stream.Dead) (broker.Message, error) {
	topic := b.Slot.Inputs[d.Record.Input].Topic
	letter := schemas.DeadLetter{
		Topic: topic, Partition: b.Slot.Partition, Offset: d.Record.Offset, TS: d.Record.Timestamp,
		Key: schemas.Some(d.Record.Key), Value: schemas.Some(d.Record.Value),
	}
	letter.Refuse(d.Reason, d.Err)
	for _, h := range d.Record.Headers {
		letter.Headers = append(letter.Headers, schemas.Header{Key: h.Key, Value: h.Value})
	}
	t.deps.Metrics.deadLetter(d.Reason)
	v, err := t.deps.Codec.AppendDeadLetter(nil, &letter)
	return broker.Message{Topic: broker.TopicDeadLetters, Key: letter.ID[:], Value: v}, err
}
