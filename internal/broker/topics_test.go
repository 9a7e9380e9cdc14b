package broker_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/foodflow/foodflow/internal/broker"
)

func cluster(t *testing.T, brokers int, more ...kfake.Opt) (broker.Config, *kadm.Client) {
	t.Helper()
	k, err := kfake.NewCluster(append(more, kfake.NumBrokers(brokers))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	cfg := broker.DefaultConfig()
	cfg.Brokers = k.ListenAddrs()
	cl, err := broker.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	adm := kadm.NewClient(cl)
	t.Cleanup(adm.Close)
	return cfg, adm
}

func ensure(t *testing.T, cfg broker.Config, partitions int32) error {
	t.Helper()
	cl, err := broker.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	return broker.EnsureTopics(t.Context(), cl, partitions)
}

func TestEnsureTopics(t *testing.T) {
	for brokers, want := range map[int]struct {
		replicas int
		isr      string
	}{1: {1, "1"}, 3: {3, "2"}, 5: {3, "2"}} {
		cfg, adm := cluster(t, brokers)
		// A second time changes nothing, even when asked for other partitions.
		for _, partitions := range []int32{6, 12} {
			if err := ensure(t, cfg, partitions); err != nil {
				t.Fatal(err)
			}
		}
		topics, err := adm.ListTopics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range broker.Topics() {
			n := topic.Partitions
			if n == 0 {
				n = 6
			}
			got := topics[topic.Name].Partitions
			if len(got) != int(n) || got.NumReplicas() != want.replicas {
				t.Errorf("%d brokers: %s has %d partitions with %d replicas, want %d with %d", brokers, topic.Name, len(got), got.NumReplicas(), n, want.replicas)
			}
			conf := settings(t, adm, topic.Name)
			if conf["message.timestamp.type"] != "LogAppendTime" {
				t.Errorf("%s follows the device's clock", topic.Name)
			}
			if compacts := strings.Contains(conf["cleanup.policy"], "compact"); compacts != topic.Compact {
				t.Errorf("%s has the policy %s", topic.Name, conf["cleanup.policy"])
			}
			if topic.Compact && conf["retention.ms"] != "-1" {
				t.Errorf("%s is kept %s ms, but it is a state", topic.Name, conf["retention.ms"])
			}
			if isr := conf["min.insync.replicas"]; isr != want.isr && (isr != "" || brokers > 1) {
				t.Errorf("%d brokers: %s needs %q in-sync replicas, want %s", brokers, topic.Name, isr, want.isr)
			}
		}
	}
}

func settings(t *testing.T, adm *kadm.Client, topic string) map[string]string {
	t.Helper()
	rs, err := adm.DescribeTopicConfigs(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, c := range rs[0].Configs {
		out[c.Key] = c.MaybeValue()
	}
	return out
}

// A line whose sensors and events lie in different partitions has two owners.
func TestEnsureTopicsRefusesUnequalPartitions(t *testing.T) {
	for _, name := range []string{broker.TopicLineEvents, broker.TopicProcessorState} {
		cfg, adm := cluster(t, 1)
		if _, err := adm.CreateTopic(t.Context(), 3, 1, nil, name); err != nil {
			t.Fatal(err)
		}
		if err := ensure(t, cfg, 6); err == nil || !strings.Contains(err.Error(), name+" has 3 partitions") {
			t.Errorf("got %v", err)
		}
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	err := broker.Config{Partitions: 0, Mechanism: "GSSAPI"}.Validate()
	for _, want := range []string{"kafka.brokers: ", "kafka.partitions: ", "kafka.mechanism: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
	for _, m := range []string{"", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		c := broker.DefaultConfig()
		c.Brokers, c.Mechanism = []string{"k:9092"}, m
		if err := c.Validate(); err != nil {
			t.Errorf("%q: %v", m, err)
		}
	}
}

func TestClientLogsIn(t *testing.T) {
	for _, m := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(m, "u", "right"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(k.Close)
		for _, password := range []string{"right", "wrong"} {
			c := broker.DefaultConfig()
			c.Brokers, c.Mechanism, c.User, c.Password = k.ListenAddrs(), m, "u", password
			cl, err := broker.Client(c)
			if err != nil {
				t.Fatal(err)
			}
			if err := cl.Ping(t.Context()); (err == nil) != (password == "right") {
				t.Errorf("%s with the %s password: %v", m, password, err)
			}
			cl.Close()
		}
	}
}
