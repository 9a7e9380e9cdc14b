package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The topics. Values are Avro in Confluent framing, but for processor state,
// which is the processors' own.
const (
	TopicReadings       = "foodflow.readings.v1"
	TopicLineEvents     = "foodflow.line-events.v1"
	TopicAnomalies      = "foodflow.anomalies.v1"
	TopicOEE            = "foodflow.oee.v1"
	TopicEvents         = "foodflow.events.v1"
	TopicDirectory      = "foodflow.directory.v1"
	TopicProcessorState = "foodflow.processor-state.v1"
	TopicDeadLetters    = "foodflow.dead-letters.v1"
	TopicKeyUses        = "foodflow.key-uses.v1"
)

// Topic is one row of the table.
type Topic struct {
	Name string
	// Partitions is fixed; 0 means "as many as lines are spread over", the
	// Partitions of Config.
	Partitions int32
	Retention  time.Duration // 0: for ever
	Compact    bool
	// MaxMessage is the largest record in bytes.
	MaxMessage int
}

// Topics is the table of all topics. Readings and line events have the same
// number of partitions and the same key, so that a line's sensors and its
// events meet in one partition number; the state topic follows them.
func Topics() []Topic {
	const day = 24 * time.Hour
	return []Topic{
		{Name: TopicReadings, Retention: 7 * day, MaxMessage: 1 << 20},
		{Name: TopicLineEvents, Retention: 30 * day, MaxMessage: 1 << 20},
		{Name: TopicAnomalies, Retention: 30 * day, MaxMessage: 1 << 20},
		{Name: TopicOEE, Retention: 30 * day, MaxMessage: 1 << 20},
		{Name: TopicEvents, Partitions: 4, Retention: 30 * day, MaxMessage: 1 << 20},
		{Name: TopicDirectory, Partitions: 1, Compact: true, MaxMessage: 1 << 20},
		{Name: TopicProcessorState, Compact: true, MaxMessage: 2 << 20},
		{Name: TopicDeadLetters, Partitions: 1, Retention: 90 * day, MaxMessage: 2 << 20},
		{Name: TopicKeyUses, Partitions: 1, Retention: 7 * day, MaxMessage: 1 << 20},
	}
}

// maxBatch is the largest batch that a producer makes for a topic: what the topic
// takes, so that a record is refused by neither or by both.
func maxBatch(topic string) int32 {
	for _, t := range Topics() {
		if t.Name == topic {
			return int32(t.MaxMessage)
		}
	}
	return 1 << 20
}

// CompactionLag is how long a compacted topic may keep a value that a later
// record has replaced.
const CompactionLag = 24 * time.Hour

// configs gives the topic's settings for a cluster of so many brokers.
func (t Topic) configs(replicas int16) map[string]*string {
	retention := int64(-1)
	if t.Retention > 0 {
		retention = t.Retention.Milliseconds()
	}
	c := map[string]*string{
		"message.timestamp.type": kadm.StringPtr("LogAppendTime"),
		"retention.ms":           kadm.StringPtr(strconv.FormatInt(retention, 10)),
		"max.message.bytes":      kadm.StringPtr(strconv.Itoa(t.MaxMessage)),
		"cleanup.policy":         kadm.StringPtr("delete"),
	}
	if t.Compact {
		// delete beside compact lets records be removed by DeleteRecords.
		c["cleanup.policy"] = kadm.StringPtr("compact,delete")
		// So it can be said by when what a deleted tenant had here is gone.
		c["max.compaction.lag.ms"] = kadm.StringPtr(strconv.FormatInt(CompactionLag.Milliseconds(), 10))
	}
	if replicas >= 3 {
		c["min.insync.replicas"] = kadm.StringPtr("2")
	}
	return c
}

// EnsureTopics creates the topics that are missing, spread over partitions
// where the table leaves it open, with three replicas where there are three
// brokers. It changes no topic that is there, and refuses one whose partition
// count would give a line two owners.
func EnsureTopics(ctx context.Context, cl *kgo.Client, partitions int32) error {
	adm := kadm.NewClient(cl)
	meta, err := adm.BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("listing brokers: %w", err)
	}
	replicas := int16(min(3, len(meta.Brokers)))
	for _, t := range Topics() {
		n := t.Partitions
		if n == 0 {
			n = partitions
		}
		_, err := adm.CreateTopic(ctx, n, replicas, t.configs(replicas), t.Name)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("creating topic %s: %w", t.Name, err)
		}
	}
	// On several brokers a topic is known everywhere only a moment after it was
	// made.
	for deadline := time.Now().Add(topicsTimeout); ; {
		err := checkCopartitioned(ctx, adm)
		if err == nil || !errors.Is(err, errTopicUnknown) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// topicsTimeout bounds the wait until new topics are known.
const topicsTimeout = 30 * time.Second

var errTopicUnknown = errors.New("the topic is not known yet")

func checkCopartitioned(ctx context.Context, adm *kadm.Client) error {
	names := []string{TopicReadings, TopicLineEvents, TopicProcessorState}
	topics, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("listing topics: %w", err)
	}
	for _, n := range names {
		if t, ok := topics[n]; !ok || t.Err != nil || len(t.Partitions) == 0 {
			return fmt.Errorf("topic %s: %w", n, errTopicUnknown)
		}
	}
	want := len(topics[TopicReadings].Partitions)
	for _, n := range names {
		if got := len(topics[n].Partitions); got != want {
			return fmt.Errorf("topic %s has %d partitions, %s has %d: they must be equal", n, got, TopicReadings, want)
		}
	}
	return nil
}
