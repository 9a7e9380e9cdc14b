package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Reach is how far partitions go, by topic and partition.
type Reach map[string]map[int32]int64

// Log looks at topics as a whole: how far they reach, how far groups are, what
// they hold and for how long. It is safe for concurrent use.
type Log struct {
	cfg Config
	cl  *kgo.Client
	adm *kadm.Client
}

// NewLog looks through a client that the caller closes; cfg opens the readers.
func NewLog(cfg Config, cl *kgo.Client) *Log { return &Log{cfg: cfg, cl: cl, adm: kadm.NewClient(cl)} }

// Ends gives how far topics reach now.
func (l *Log) Ends(ctx context.Context, topics ...string) (Reach, error) {
	listed, err := l.adm.ListEndOffsets(ctx, topics...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("listing ends of topics: %w", err)
	}
	return byPartition(listed), nil
}

// starts gives where topics begin now.
func (l *Log) starts(ctx context.Context, topics ...string) (Reach, error) {
	listed, err := l.adm.ListStartOffsets(ctx, topics...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("listing starts of topics: %w", err)
	}
	return byPartition(listed), nil
}

func byPartition(listed kadm.ListedOffsets) Reach {
	out := Reach{}
	listed.Each(func(o kadm.ListedOffset) {
		if out[o.Topic] == nil {
			out[o.Topic] = map[int32]int64{}
		}
		out[o.Topic][o.Partition] = o.Offset
	})
	return out
}

// Behind gives how many records before the ends a group has not committed. Where
// it has committed nothing, all that the partition holds counts.
func (l *Log) Behind(ctx context.Context, group string, ends Reach) (n int64, err error) {
	committed, err := l.adm.FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return 0, fmt.Errorf("reading offsets of group %s: %w", group, err)
	}
	first, err := l.starts(ctx, slices.Collect(maps.Keys(ends))...)
	if err != nil {
		return 0, err
	}
	for topic, parts := range ends {
		for p, end := range parts {
			at := first[topic][p]
			if o, ok := committed.Lookup(topic, p); ok {
				at = max(at, o.At)
			}
			n += max(0, end-at)
		}
	}
	return n, nil
}

// Each calls fn with the key and value of each record that a topic holds now,
// partition by partition; a nil value is a tombstone.
func (l *Log) Each(ctx context.Context, topic string, fn func(partition int32, key, value []byte) error) error {
	return l.each(ctx, topic, func(r *kgo.Record) error { return fn(r.Partition, r.Key, r.Value) })
}

// Keeping is how long a topic keeps a record that is written now.
type Keeping struct {
	Topic string `json:"topic"`
	// Policy is Kafka's cleanup.policy.
	Policy string `json:"cleanup_policy"`
	// Longest is after how long the last record of now is gone at the latest; 0:
	// the settings of the topic set no limit.
	Longest time.Duration `json:"-"`
}

// forEver is a number of milliseconds that stands for no limit, 278 years; Kafka
// itself says "none" by -1 or by the largest number there is.
const forEver = 1 << 43

// Keeping reads it from the settings of topics. A topic that ages out keeps a
// record until the newest of its segment is past retention.ms, and a segment is
// open for at most segment.ms; a compacted one drops the former values of a key
// within max.compaction.lag.ms.
func (l *Log) Keeping(ctx context.Context, topics ...string) ([]Keeping, error) {
	found, err := l.adm.DescribeTopicConfigs(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("reading settings of topics: %w", err)
	}
	var out []Keeping
	for _, t := range topics {
		rc, err := found.On(t, nil)
		if err == nil {
			err = rc.Err
		}
		if err != nil {
			return nil, fmt.Errorf("reading settings of %s: %w", t, err)
		}
		settings := map[string]string{}
		for _, c := range rc.Configs {
			settings[c.Key] = c.MaybeValue()
		}
		out = append(out, keeping(t, settings))
	}
	return out, nil
}

func keeping(topic string, settings map[string]string) Keeping {
	// What a broker doesn't tell is Kafka's default.
	ms := func(name string, otherwise int64) int64 {
		v, err := strconv.ParseInt(settings[name], 10, 64)
		if err != nil {
			return otherwise
		}
		return v
	}
	const day = int64(24 * time.Hour / time.Millisecond)
	k := Keeping{Topic: topic, Policy: settings["cleanup.policy"]}
	if retention := ms("retention.ms", 7*day); retention >= 0 && retention < forEver {
		k.Longest = time.Duration(retention+ms("segment.ms", 7*day)) * time.Millisecond
	}
	if lag := ms("max.compaction.lag.ms", forEver); lag > 0 && lag < forEver && k.Longest == 0 {
		k.Longest = time.Duration(lag) * time.Millisecond
	}
	return k
}
