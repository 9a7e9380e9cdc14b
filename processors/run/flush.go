package run

import (
	"context"
	"fmt"
	"slices"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/stream"
)

// Flush makes the batch durable: dead letters, anomalies and parts on Kafka, the
// rows in ClickHouse.
func (t *task) Flush(ctx context.Context, b stream.Batch) error {
	msgs := slices.Concat(t.again.list, t.messages)
	for i := range b.Dead {
		m, err := t.deadLetter(&b, &b.Dead[i])
		if err != nil {
			return err
		}
		msgs = append(msgs, m)
	}
	if err := t.deps.Publisher.Publish(ctx, msgs); err != nil {
		return stream.Transient(err)
	}
	for _, block := range []sink.Block{t.readings, t.minutes, t.events, t.anomalies, t.parts} {
		err := t.deps.Sink.Insert(ctx, block, token(block.Table(), &b))
		if clickhouse.IsTransient(err) {
			return stream.Transient(err)
		}
		if err != nil {
			return err
		}
	}
	t.deps.Metrics.add(&t.counts)
	t.again = repeats{}
	t.empty()
	return nil
}

// token names an insert: the same batch of the same job always has the same.
// Rows of a table can come from either input (a reading closes a minute), so it
// names both ranges.
func token(table string, b *stream.Batch) string {
	name := fmt.Sprintf("%s/g%d/p%d", table, b.Slot.Generation, b.Slot.Partition)
	for i, in := range b.Slot.Inputs {
		name += fmt.Sprintf("/%x:%d-%d", in.ID, b.From[i], b.To[i])
	}
	return name
}

// Discard empties the output, except for what limits found; see repeats.
func (t *task) Discard() {
	for _, l := range t.limits {
		t.again.note(l.of, t.messages[l.message])
	}
	t.empty()
}

func (t *task) empty() {
	t.readings.Reset()
	t.events.Reset()
	t.anomalies.Reset()
	t.parts.Reset()
	t.minutes.Reset()
	t.messages, t.limits, t.counts = nil, nil, counts{}
}
