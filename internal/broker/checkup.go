package broker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/foodflow/foodflow/internal/doctor"
)

// laggard is how many records behind a group is spoken of: a minute of a fast
// plant.
const laggard = 1_000_000

// newMetadata is the version of Metadata (Kafka 2.8) from which topics have ids,
// which the names of inserts rest on.
const newMetadata = 10

// Checkup looks at a cluster: whether it answers and knows what is needed, its
// topics, its clock, and how far a group is behind.
func Checkup(c Config, group string) []doctor.Check {
	with := func(look func(ctx context.Context, cl *kgo.Client, adm *kadm.Client) ([]doctor.Finding, error)) func(context.Context) []doctor.Finding {
		return func(ctx context.Context) []doctor.Finding {
			cl, err := Client(c, kgo.RequestRetries(1), kgo.RetryTimeout(10*time.Second))
			if err != nil {
				return []doctor.Finding{{Severity: doctor.Error, What: err.Error(), Mend: "mend the settings of kafka"}}
			}
			defer cl.Close()
			found, err := look(ctx, cl, kadm.NewClient(cl))
			if err != nil {
				return doctor.Unreachable(err, "see that the brokers run and that kafka.brokers, TLS and SASL are right")
			}
			return found
		}
	}
	return []doctor.Check{
		{Name: "kafka.reachable", Run: with(checkBrokers)},
		{Name: "kafka.topics", Run: with(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) ([]doctor.Finding, error) {
			return checkTopics(ctx, adm)
		})},
		{Name: "kafka.clock", Run: with(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) ([]doctor.Finding, error) {
			return checkClock(ctx, adm, time.Now)
		})},
		{Name: "kafka.lag", Run: with(func(ctx context.Context, _ *kgo.Client, adm *kadm.Client) ([]doctor.Finding, error) {
			return checkLag(ctx, adm, group)
		})},
	}
}

func checkBrokers(ctx context.Context, cl *kgo.Client, adm *kadm.Client) ([]doctor.Finding, error) {
	meta, err := adm.BrokerMetadata(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing brokers: %w", err)
	}
	req := kmsg.NewPtrApiVersionsRequest()
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("asking for versions: %w", err)
	}
	for _, k := range resp.ApiKeys {
		if k.ApiKey == int16(kmsg.Metadata) && k.MaxVersion < newMetadata {
			return []doctor.Finding{{Severity: doctor.Error, What: "the brokers are older than Kafka 2.8", Means: "topics have no ids, without which a repeated insert can't be told from a new topic's", Mend: "run Kafka 2.8 or newer"}}, nil
		}
	}
	if n := len(meta.Brokers); n < 3 {
		return []doctor.Finding{{Severity: doctor.Warning, What: fmt.Sprintf("%d brokers", n), Means: "an acknowledged reading is as safe as one disk", Mend: "run three or more for production"}}, nil
	}
	return doctor.Fine("%d brokers", len(meta.Brokers)), nil
}

func checkTopics(ctx context.Context, adm *kadm.Client) ([]doctor.Finding, error) {
	meta, err := adm.Metadata(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing topics: %w", err)
	}
	var names []string
	var found []doctor.Finding
	bad := func(s doctor.Severity, means, mend, format string, args ...any) {
		found = append(found, doctor.Finding{Severity: s, What: fmt.Sprintf(format, args...), Means: means, Mend: mend})
	}
	spread := len(meta.Topics[TopicReadings].Partitions)
	for _, t := range Topics() {
		d, ok := meta.Topics[t.Name]
		if !ok || d.Err != nil || len(d.Partitions) == 0 {
			bad(doctor.Error, "what is sent there is refused", "run foodflow migrate", "topic %s is missing", t.Name)
			continue
		}
		names = append(names, t.Name)
		want := int(t.Partitions)
		if want == 0 {
			want = spread
		}
		if len(d.Partitions) != want && (t.Name == TopicLineEvents || t.Name == TopicProcessorState || t.Partitions == 1) {
			bad(doctor.Error, "a line would have two owners, or one order would be two", "make the topic anew with as many partitions, empty", "topic %s has %d partitions, not %d", t.Name, len(d.Partitions), want)
		}
		if len(meta.Brokers) >= 3 && d.Partitions.NumReplicas() < 3 {
			bad(doctor.Warning, "a lost disk loses acknowledged records", "raise it with kafka-reassign-partitions", "topic %s has %d replicas on %d brokers", t.Name, d.Partitions.NumReplicas(), len(meta.Brokers))
		}
		for _, p := range d.Partitions {
			if p.Leader < 0 {
				bad(doctor.Error, "nothing can be written there", "bring its brokers back", "topic %s partition %d has no leader", t.Name, p.Partition)
			} else if len(p.ISR) < len(p.Replicas) {
				bad(doctor.Warning, "one more broker that ends may stop writing", "look at the brokers that are behind", "topic %s partition %d has %d of %d replicas in sync", t.Name, p.Partition, len(p.ISR), len(p.Replicas))
			}
		}
	}
	configs, err := adm.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("reading the topics' settings: %w", err)
	}
	replicas := int16(min(3, len(meta.Brokers)))
	for _, t := range Topics() {
		got, err := configs.On(t.Name, nil)
		if err != nil {
			continue // it is missing, and was named above
		}
		found = append(found, checkConfigs(t, got, replicas)...)
	}
	if len(found) == 0 {
		return doctor.Fine("%d topics as they must be", len(names)), nil
	}
	return found, nil
}

// checkConfigs compares the settings that promises rest on.
func checkConfigs(t Topic, got kadm.ResourceConfig, replicas int16) (found []doctor.Finding) {
	is := map[string]string{}
	for _, c := range got.Configs {
		is[c.Key] = c.MaybeValue()
	}
	for _, key := range []string{"message.timestamp.type", "cleanup.policy", "min.insync.replicas"} {
		want := t.configs(replicas)[key]
		have, told := is[key]
		if want == nil || !told || have == *want || key == "cleanup.policy" && strings.Contains(have, "compact") == t.Compact && strings.Contains(have, "delete") == strings.Contains(*want, "delete") {
			continue
		}
		found = append(found, doctor.Finding{
			Severity: doctor.Warning, What: fmt.Sprintf("topic %s has %s=%s, not %s", t.Name, key, have, *want),
			Means: "retention, compaction or the safety of acknowledged records differ from what FoodFlow promises", Mend: fmt.Sprintf("kafka-configs --alter --topic %s --add-config %s=[%s]", t.Name, key, *want),
		})
	}
	return append(found, checkSize(t, is["max.message.bytes"])...)
}

// checkSize holds what a topic takes, by itself or by its brokers' message.max.bytes,
// against the largest batch that is sent there. More is no fault.
func checkSize(t Topic, takes string) []doctor.Finding {
	n, err := strconv.Atoi(takes)
	if most := int(maxBatch(t.Name)); err == nil && n < most {
		return []doctor.Finding{{
			Severity: doctor.Error, What: fmt.Sprintf("topic %s takes messages of %d bytes, %d are sent", t.Name, n, most),
			Means: "what is larger is refused: full batches and large changes don't arrive", Mend: fmt.Sprintf("kafka-configs --alter --topic %s --add-config max.message.bytes=%d", t.Name, most),
		}}
	}
	return nil
}

// checkClock looks for records that the brokers stamped with a time that has not
// come here yet.
func checkClock(ctx context.Context, adm *kadm.Client, now func() time.Time) ([]doctor.Finding, error) {
	newest, err := adm.ListMaxTimestampOffsets(ctx, TopicReadings, TopicEvents, TopicDirectory)
	if err != nil {
		return nil, fmt.Errorf("asking for the newest records: %w", err)
	}
	last := int64(0)
	newest.Each(func(o kadm.ListedOffset) { last = max(last, o.Timestamp) })
	at := now()
	if last <= 0 {
		return doctor.Fine("no record to tell its clock by"), nil
	}
	// Brokers that are behind can't be told from a topic at rest.
	return doctor.Skew(time.UnixMilli(last), time.UnixMilli(min(last, at.UnixMilli())), at), nil
}

func checkLag(ctx context.Context, adm *kadm.Client, group string) ([]doctor.Finding, error) {
	lags, err := adm.Lag(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("reading lag: %w", err)
	}
	l := lags[group]
	if err := l.Error(); err != nil {
		return []doctor.Finding{{Severity: doctor.Warning, What: fmt.Sprintf("group %s is not known: %v", group, err), Means: "no processor has run yet", Mend: "start foodflow processors"}}, nil
	}
	for _, p := range l.Lag.Sorted() {
		if p.Err == nil && p.Commit.At > p.End.Offset {
			return []doctor.Finding{{
				Severity: doctor.Error,
				What:     fmt.Sprintf("group %s has processed %s/%d up to %d, and the topic ends at %d", group, p.Topic, p.Partition, p.Commit.At, p.End.Offset),
				Means:    "Kafka lost records that it had, or was put back from a backup; processors refuse to start, since what is written there now would be passed over",
				Mend:     "end the processors and set the group's offsets: kafka-consumer-groups --reset-offsets --to-datetime of the moment at which Kafka came back",
			}}, nil
		}
	}
	behind := l.Lag.Total()
	switch {
	case l.State != "Stable" && len(l.Members) == 0:
		return []doctor.Finding{{Severity: doctor.Error, What: fmt.Sprintf("group %s has no members and is %d records behind", group, behind), Means: "readings wait on Kafka, until retention removes them", Mend: "start foodflow processors"}}, nil
	case behind > laggard:
		return []doctor.Finding{{Severity: doctor.Warning, What: fmt.Sprintf("group %s is %d records behind", group, behind), Means: "what is shown is late", Mend: "add processors, up to the number of partitions; look at ClickHouse's insert times"}}, nil
	}
	return doctor.Fine("group %s has %d members and is %d records behind", group, len(l.Members), behind), nil
}
