package run_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/testkit"
)

// TestKilledBrokers (P3): three brokers with three replicas, each killed in turn
// while readings are produced with acks from all; every acknowledged one is
// stored once. TestFollowersAsleep is the control.
func TestKilledBrokers(t *testing.T) {
	cluster := testkit.Apache(t, 3)
	w := newWorldOn(t, cluster.Seeds())
	cl := w.client()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.life(ctx) }()
	acked, nextAck := 0, []time.Duration{}
	for i := range 900 {
		r := w.reading(i%6, i)
		key := r.Key()
		if i%300 == 150 {
			if err := cluster.Kill(i / 300); err != nil {
				t.Fatal(err)
			}
			at := time.Now()
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: broker.TopicReadings, Key: key[:], Value: w.codec.AppendReading(nil, &r)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			nextAck = append(nextAck, time.Since(at).Round(time.Millisecond))
			acked++
			for !whole(t, cl) && time.Since(at) < patience { // the broker comes back before the next one goes
				time.Sleep(100 * time.Millisecond)
			}
			continue
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: broker.TopicReadings, Key: key[:], Value: w.codec.AppendReading(nil, &r)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		acked++
	}
	for began, stored := time.Now(), w.rows("readings")(acked); !stored() && time.Since(began) < 3*patience; {
		time.Sleep(100 * time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	var rows, distinct int
	if _, err := fmt.Sscan(w.query("SELECT count(), uniqExact(sensor_id, seq) FROM readings"), &rows, &distinct); err != nil {
		t.Fatal(err)
	}
	t.Logf("acked %d, missing %d, extra %d; next ack after %v", acked, acked-distinct, rows-distinct, nextAck)
	if distinct != acked || rows != acked {
		t.Fatalf("acked %d, rows %d, distinct readings %d", acked, rows, distinct)
	}
}

// whole says that each partition of the readings has all its replicas in sync. A
// cluster that isn't yet is only slower: nothing is acknowledged by one broker.
func whole(t *testing.T, cl *kgo.Client) bool {
	t.Helper()
	topics, err := kadm.NewClient(cl).ListTopics(t.Context(), broker.TopicReadings)
	if err != nil {
		return false // asked of one that is down
	}
	for _, p := range topics[broker.TopicReadings].Partitions {
		if p.Err != nil || len(p.ISR) < len(p.Replicas) {
			return false
		}
	}
	return len(topics[broker.TopicReadings].Partitions) > 0
}

// TestFollowersAsleep is the control of P3. Both followers of a partition stand
// still (SIGSTOP), records are produced, the leader is killed, and the followers
// wake. With acks from all nothing is acknowledged in that window, so nothing
// acknowledged can be lost; with the leader's ack alone acknowledged records are
// gone.
func TestFollowersAsleep(t *testing.T) {
	for name, tc := range map[string]struct {
		opts  []kgo.Opt
		loses bool
	}{
		"acks from all":                 {nil, false},
		"control: acks from the leader": {[]kgo.Opt{kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()}, true},
	} {
		t.Run(name, func(t *testing.T) {
			acked, missing, during := followersAsleep(t, tc.loses, tc.opts)
			t.Logf("acked %d, of them while the followers stood still %d, missing %d", acked, during, missing)
			if !tc.loses && (missing != 0 || during != 0) {
				t.Error("an acknowledgement before the replicas have it")
			}
			if tc.loses && missing == 0 {
				t.Error("a leader that acknowledged alone was killed and nothing is missing: the test is blind")
			}
		})
	}
}

func followersAsleep(t *testing.T, loses bool, opts []kgo.Opt) (acked, missing, during int) {
	cluster := testkit.Apache(t, 3)
	cfg := broker.DefaultConfig()
	cfg.Brokers = cluster.Seeds()
	cl, err := broker.Client(cfg, append(opts, kgo.DefaultProduceTopic(broker.TopicReadings), kgo.ProducerLinger(0))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := broker.EnsureTopics(t.Context(), cl, 1); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // guards journal
	journal := map[string]bool{}
	next := 0
	send := func() {
		v := strconv.Itoa(next)
		next++
		cl.Produce(t.Context(), kgo.StringRecord(v), func(_ *kgo.Record, err error) {
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				journal[v] = true
			}
		})
	}
	size := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(journal)
	}
	for range 100 {
		send()
	}
	if err := cl.Flush(t.Context()); err != nil || size() != 100 {
		t.Fatalf("%d of 100 records are acknowledged on a whole cluster: %v", size(), err)
	}
	leader := leaderOf(t, cl)
	for i := range 3 {
		if i != leader {
			must(t, cluster.Freeze(i))
		}
	}
	// A record that is under way can't be called back, so nobody waits here.
	// A leader that acknowledges alone gets the time to, however slow the machine.
	for i, began := 0, time.Now(); i < 150 || loses && size() < 150 && time.Since(began) < patience; i++ {
		send()
		time.Sleep(10 * time.Millisecond) // a producer's pace
	}
	during = size() - 100
	if err := cluster.Kill(leader); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if i != leader {
			must(t, cluster.Thaw(i))
		}
	}
	fresh, err := broker.Client(cfg, kgo.DefaultProduceTopic(broker.TopicReadings))
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	healed, stop := context.WithTimeout(t.Context(), 2*patience)
	defer stop()
	if err := fresh.ProduceSync(healed, kgo.StringRecord("healed")).FirstErr(); err != nil {
		t.Fatal("the cluster does not heal: ", err)
	}
	if err := cl.Flush(healed); err != nil {
		t.Fatal("what was under way has no end: ", err)
	}
	have := map[string]bool{}
	err = broker.ReadTopic(t.Context(), cfg, broker.TopicReadings, func(_ int32, _ int64, v []byte) error {
		have[string(v)] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for v := range journal {
		if !have[v] {
			missing++
		}
	}
	return len(journal), missing, during
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// leaderOf gives the broker, from 0, that leads the readings' one partition.
func leaderOf(t *testing.T, cl *kgo.Client) int {
	t.Helper()
	topics, err := kadm.NewClient(cl).ListTopics(t.Context(), broker.TopicReadings)
	if err != nil {
		t.Fatal(err)
	}
	return int(topics[broker.TopicReadings].Partitions[0].Leader) - 1
}
