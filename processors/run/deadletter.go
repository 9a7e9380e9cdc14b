package run

import (
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/schemas"
)

// maxDetail bounds the text of a dead letter's reason.
const maxDetail = 500

// deadLetter wraps a poison record, whole, with where it stood and why it was
// refused. Its id derives from its place, so copies after a crash are one.
func (t *task) deadLetter(b *stream.Batch, d *stream.Dead) (broker.Message, error) {
	topic := b.Slot.Inputs[d.Record.Input].Topic
	letter := schemas.DeadLetter{
		ID: schemas.DeadLetterID(topic, b.Slot.Partition, d.Record.Offset), Topic: topic, Partition: b.Slot.Partition, Offset: d.Record.Offset,
		TS: d.Record.Timestamp, Key: some(d.Record.Key), Value: some(d.Record.Value), Reason: d.Reason,
		// The broker's time, not ours: a repetition must make the same letter.
		FailedAt: d.Record.Timestamp,
	}
	letter.Detail = d.Err.Error()
	letter.Detail = letter.Detail[:min(len(letter.Detail), maxDetail)]
	for _, h := range d.Record.Headers {
		letter.Headers = append(letter.Headers, schemas.Header{Key: h.Key, Value: h.Value})
	}
	t.deps.Metrics.deadLetter(d.Reason)
	v, err := t.deps.Codec.AppendDeadLetter(nil, &letter)
	return broker.Message{Topic: broker.TopicDeadLetters, Key: letter.ID[:], Value: v}, err
}

func some(b []byte) *[]byte {
	if b == nil {
		return nil
	}
	return &b
}
