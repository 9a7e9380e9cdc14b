package broker

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/doctor"
)

// TestCheckup finds each thing that can be wrong with a cluster, and nothing
// wrong with one that is as migrate leaves it.
func TestCheckup(t *testing.T) {
	k, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	cfg := DefaultConfig()
	cfg.Brokers = k.ListenAddrs()
	cl, err := Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	adm := kadm.NewClient(cl)
	look := func(check string) (doctor.Severity, string) {
		t.Helper()
		var only []doctor.Check
		for _, c := range Checkup(cfg, "g") {
			if c.Name == check {
				only = append(only, c)
			}
		}
		r := doctor.Run(t.Context(), only, 30*time.Second)
		text := ""
		for _, f := range r.Findings {
			text += f.What + "\n"
		}
		return r.Worst(), text
	}
	want := func(check string, s doctor.Severity, what string) {
		t.Helper()
		if got, text := look(check); got != s || !strings.Contains(text, what) {
			t.Errorf("%s: %v %q, want %v %q", check, got, text, s, what)
		}
	}
	want("kafka.reachable", doctor.Warning, "1 brokers")
	want("kafka.topics", doctor.Error, "topic foodflow.readings.v1 is missing")
	if err := EnsureTopics(t.Context(), cl, 2); err != nil {
		t.Fatal(err)
	}
	want("kafka.topics", doctor.OK, "9 topics")
	want("kafka.lag", doctor.Warning, "group g is not known")
	at := kadm.Offsets{}
	at.Add(kadm.Offset{Topic: TopicReadings, Partition: 0, At: 0, LeaderEpoch: -1})
	if err := adm.CommitAllOffsets(t.Context(), "g", at); err != nil {
		t.Fatal(err)
	}
	want("kafka.lag", doctor.Error, "group g has no members")
	past := kadm.Offsets{}
	past.Add(kadm.Offset{Topic: TopicReadings, Partition: 1, At: 5, LeaderEpoch: -1})
	if err := adm.CommitAllOffsets(t.Context(), "g", past); err != nil {
		t.Fatal(err)
	}
	want("kafka.lag", doctor.Error, "group g has processed foodflow.readings.v1/1 up to 5, and the topic ends at 0")
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: TopicReadings, Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	want("kafka.clock", doctor.OK, "differs")
	if found, err := checkClock(t.Context(), adm, func() time.Time { return time.Now().Add(-time.Hour) }); err != nil || len(found) != 1 || found[0].Severity != doctor.Error {
		t.Errorf("brokers an hour ahead: %+v, %v", found, err)
	}
	value := "CreateTime"
	if _, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "message.timestamp.type", Value: &value}}, TopicReadings); err != nil {
		t.Fatal(err)
	}
	want("kafka.topics", doctor.Warning, "message.timestamp.type=CreateTime, not LogAppendTime")
	for size, s := range map[string]doctor.Severity{"1000000": doctor.Error, "1048576": doctor.Warning, "9000000": doctor.Warning} {
		if _, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &size}}, TopicEvents); err != nil {
			t.Fatal(err)
		}
		text := "message.timestamp.type=CreateTime" // still, and no more
		if s == doctor.Error {
			text = "topic foodflow.events.v1 takes messages of 1000000 bytes, 1048576 are sent"
		}
		want("kafka.topics", s, text)
	}
	if _, err := adm.CreatePartitions(t.Context(), 1, TopicProcessorState); err != nil {
		t.Fatal(err)
	}
	want("kafka.topics", doctor.Error, "topic foodflow.processor-state.v1 has 3 partitions, not 2")
	// Not the port of the one before: it may be another test's by now.
	cfg.Brokers = []string{"127.0.0.1:1"}
	for _, c := range Checkup(cfg, "g") {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if found := c.Run(ctx); len(found) != 1 || found[0].Severity != doctor.Error || !strings.Contains(found[0].What, "does not answer") {
			t.Errorf("%s of a cluster that is gone: %+v", c.Name, found)
		}
		cancel()
	}
}
