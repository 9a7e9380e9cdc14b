package broker

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// EndOffsets gives the end of each partition of a topic.
func EndOffsets(ctx context.Context, cfg Config, topic string) (map[int32]int64, error) {
	cl, err := Client(cfg)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("listing end of %s: %w", topic, err)
	}
	out := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) { out[o.Partition] = o.Offset })
	return out, ends.Error()
}

// ReadTopic calls fn with each record that a topic holds now, partition by
// partition.
func ReadTopic(ctx context.Context, cfg Config, topic string, fn func(partition int32, offset int64, value []byte) error) error {
	cl, err := Client(cfg)
	if err != nil {
		return err
	}
	defer cl.Close()
	return NewLog(cfg, cl).each(ctx, topic, func(r *kgo.Record) error { return fn(r.Partition, r.Offset, r.Value) })
}

// each reads what a topic holds now. A partition whose records have all aged out
// ends where it starts, and is not waited for.
func (l *Log) each(ctx context.Context, topic string, fn func(*kgo.Record) error) error {
	ends, err := l.Ends(ctx, topic)
	if err != nil {
		return err
	}
	starts, err := l.starts(ctx, topic)
	if err != nil {
		return err
	}
	for p, end := range ends[topic] {
		if starts[topic][p] >= end {
			continue
		}
		if err := readTo(ctx, l.cfg, topic, p, end, fn); err != nil {
			return err
		}
	}
	return nil
}

// ReadPartition calls fn with each record of a partition from its start up to
// end; one that has lost records to its retention belongs to ReadTopic.
func ReadPartition(ctx context.Context, cfg Config, topic string, partition int32, end int64, fn func(offset int64, value []byte) error) error {
	if end == 0 {
		return nil
	}
	return readTo(ctx, cfg, topic, partition, end, func(r *kgo.Record) error { return fn(r.Offset, r.Value) })
}

// readTo calls fn with the records of a partition from its start up to end. There
// must be one, or a later one: nothing tells that none will come.
func readTo(ctx context.Context, cfg Config, topic string, partition int32, end int64, fn func(*kgo.Record) error) error {
	cl, err := Client(cfg, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}),
		kgo.FetchMaxBytes(16<<20), kgo.FetchMaxPartitionBytes(4<<20))
	if err != nil {
		return err
	}
	defer cl.Close()
	return drain(ctx, cl, topic, map[int32]int64{partition: end}, fn)
}

// drain calls fn with what comes of a topic, until each partition in left has given
// its last record before its end there.
func drain(ctx context.Context, cl *kgo.Client, topic string, left map[int32]int64, fn func(*kgo.Record) error) error {
	for len(left) > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return fmt.Errorf("reading %s: %w", topic, err)
		}
		for it := fs.RecordIter(); !it.Done(); {
			r := it.Next()
			end, open := left[r.Partition]
			if !open {
				continue
			}
			if r.Offset >= end-1 {
				delete(left, r.Partition)
			}
			if r.Offset >= end || r.Attrs.IsControl() {
				continue
			}
			if err := fn(r); err != nil {
				return err
			}
		}
	}
	return nil
}
