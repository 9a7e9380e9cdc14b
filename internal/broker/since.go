package broker

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Header is a header of a Message.
func Header(key string, value []byte) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: value}
}

// Stored is a record with where and when the broker stored it.
type Stored struct {
	Partition int32
	Offset    int64
	TS        int64 // the broker's, Unix milliseconds
	Value     []byte
	Headers   []kgo.RecordHeader
}

// ReadFrom calls fn with each record that a topic holds now, from the given
// offsets on (from the start where there is none), and gives how far it read.
func (l *Log) ReadFrom(ctx context.Context, topic string, from map[int32]int64, fn func(*Stored) error) (map[int32]int64, error) {
	starts, err := l.starts(ctx, topic)
	if err != nil {
		return nil, err
	}
	ends, err := l.Ends(ctx, topic)
	if err != nil {
		return nil, err
	}
	first, at, left := starts[topic], map[int32]kgo.Offset{}, map[int32]int64{}
	for p, end := range ends[topic] {
		if begin := max(from[p], first[p]); begin < end {
			at[p], left[p] = kgo.NewOffset().At(begin), end
		}
	}
	if len(left) == 0 {
		return ends[topic], nil
	}
	// Control records of someone's transaction can stand at the end, and are
	// otherwise not told of.
	cl, err := Client(l.cfg, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: at}), kgo.KeepControlRecords(),
		kgo.FetchMaxBytes(16<<20), kgo.FetchMaxPartitionBytes(4<<20))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	return ends[topic], drain(ctx, cl, topic, left, func(r *kgo.Record) error {
		return fn(&Stored{r.Partition, r.Offset, r.Timestamp.UnixMilli(), r.Value, r.Headers})
	})
}

// Holds is how many records a topic holds at most: compaction leaves gaps.
func (l *Log) Holds(ctx context.Context, topic string) (n int64, err error) {
	starts, err := l.starts(ctx, topic)
	if err != nil {
		return 0, err
	}
	ends, err := l.Ends(ctx, topic)
	if err != nil {
		return 0, err
	}
	first := starts[topic]
	for p, end := range ends[topic] {
		n += end - first[p]
	}
	return n, nil
}

// Since gives the offsets from which on a topic holds what was stored at a time
// or later, and whether all of that is still there, as of now: retention can have
// removed its beginning.
func (l *Log) Since(ctx context.Context, topic string, at, now time.Time) (from map[int32]int64, whole bool, err error) {
	after, err := l.adm.ListOffsetsAfterMilli(ctx, at.UnixMilli(), topic)
	if err == nil {
		err = after.Error()
	}
	if err != nil {
		return nil, false, fmt.Errorf("looking for a time in %s: %w", topic, err)
	}
	starts, err := l.starts(ctx, topic)
	if err != nil {
		return nil, false, err
	}
	kept, err := l.retention(ctx, topic)
	if err != nil {
		return nil, false, err
	}
	from, first, whole := byPartition(after)[topic], starts[topic], true
	for p, begin := range from {
		// What begins behind the start has lost nothing. What begins at it may have,
		// unless it is too young for that.
		if first[p] > 0 && begin <= first[p] && kept >= 0 && now.Sub(at) >= kept {
			whole = false
		}
	}
	return from, whole, nil
}

// retention is how long a topic keeps a record at least; negative: for ever.
func (l *Log) retention(ctx context.Context, topic string) (time.Duration, error) {
	found, err := l.adm.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("reading settings of %s: %w", topic, err)
	}
	rc, err := found.On(topic, nil)
	if err == nil {
		err = rc.Err
	}
	if err != nil {
		return 0, fmt.Errorf("reading settings of %s: %w", topic, err)
	}
	for _, c := range rc.Configs {
		if c.Key != "retention.ms" {
			continue
		}
		if ms, err := strconv.ParseInt(c.MaybeValue(), 10, 64); err == nil {
			return time.Duration(min(ms, forEver)) * time.Millisecond, nil
		}
	}
	return 7 * 24 * time.Hour, nil // Kafka's default
}
