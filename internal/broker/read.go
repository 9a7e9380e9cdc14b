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

// ReadPartition calls fn with each record of a partition from its start up to
// end.
func ReadPartition(ctx context.Context, cfg Config, topic string, partition int32, end int64, fn func(offset int64, value []byte) error) error {
	if end == 0 {
		return nil
	}
	cl, err := Client(cfg, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}),
		kgo.FetchMaxBytes(16<<20), kgo.FetchMaxPartitionBytes(4<<20))
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return fmt.Errorf("reading %s/%d: %w", topic, partition, err)
		}
		for it := fs.RecordIter(); !it.Done(); {
			r := it.Next()
			if err := fn(r.Offset, r.Value); err != nil {
				return err
			}
			if r.Offset >= end-1 {
				return nil
			}
		}
	}
}
