package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/broker/embedded"
)

// childVariable makes the test binary a broker: on a data directory, or, for
// the negative control, in memory.
const childVariable = "FOODFLOW_EMBEDDED_TEST_CHILD"

func TestMain(m *testing.M) {
	dir := os.Getenv("FOODFLOW_EMBEDDED_TEST_DIR")
	switch os.Getenv(childVariable) {
	case "disk":
		cfg := embedded.Config{Dir: dir, Addr: "127.0.0.1:0"}
		err := embedded.Serve(context.Background(), cfg, slog.New(slog.DiscardHandler), func(a string) { fmt.Println(a) })
		fmt.Fprintln(os.Stderr, "broker ended:", err)
		os.Exit(1)
	case "memory":
		c, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			fmt.Fprintln(os.Stderr, "broker ended:", err)
			os.Exit(1)
		}
		fmt.Println(c.ListenAddrs()[0])
		select {}
	}
	os.Exit(m.Run())
}

// server is a broker in a process of its own.
type server struct {
	kind, dir, addr string
	cmd             *exec.Cmd
}

func serve(t *testing.T, kind string) *server {
	t.Helper()
	s := &server{kind: kind, dir: t.TempDir()}
	s.start(t)
	t.Cleanup(func() { s.kill(t) })
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), childVariable+"="+s.kind, "FOODFLOW_EMBEDDED_TEST_DIR="+s.dir)
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("the broker says nothing: ", err)
	}
	s.addr = strings.TrimSpace(line)
}

// kill sends SIGKILL and waits for the end.
func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err == nil {
		_ = s.cmd.Wait() // it was killed, which Wait calls an error
	}
}

func (s *server) client(t *testing.T, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	cfg := broker.DefaultConfig()
	cfg.Brokers = []string{s.addr}
	cl, err := broker.Client(cfg, more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// acknowledge produces numbered records, calls between so many times meanwhile,
// and gives those that were acknowledged. A broker that forgets has no more of them
// to acknowledge after that.
func acknowledge(t *testing.T, s *server, times int, forgets bool, between func()) map[string]bool {
	t.Helper()
	cl := s.client(t, kgo.DefaultProduceTopic(broker.TopicReadings))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var mu sync.Mutex // guards out
	out := map[string]bool{}
	var acked atomic.Int64
	stop := make(chan struct{})
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			v := strconv.Itoa(i)
			cl.Produce(ctx, &kgo.Record{Key: []byte(v), Value: []byte(v)}, func(_ *kgo.Record, err error) {
				if err == nil {
					acked.Add(1)
					mu.Lock()
					defer mu.Unlock()
					out[v] = true
				}
			})
			if i%100 == 99 {
				time.Sleep(time.Millisecond) // a producer's pace
			}
		}
	}()
	for range times {
		from := acked.Load()
		for acked.Load() < from+3000 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		began := time.Now()
		between()
		if forgets {
			cancel()
		}
		for back := acked.Load(); acked.Load() == back && ctx.Err() == nil; {
			time.Sleep(time.Millisecond)
		}
		if ctx.Err() == nil {
			t.Logf("the next ack %v after the kill", time.Since(began).Round(time.Millisecond))
		}
	}
	close(stop)
	<-produced
	if err := cl.Flush(ctx); err != nil {
		t.Log("not all were acknowledged: ", err)
	}
	mu.Lock()
	defer mu.Unlock()
	return maps.Clone(out)
}

// stored reads all that is on the readings.
func stored(t *testing.T, s *server) map[string]int {
	t.Helper()
	cfg := broker.DefaultConfig()
	cfg.Brokers = []string{s.addr}
	ends, err := broker.EndOffsets(t.Context(), cfg, broker.TopicReadings)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for p, end := range ends {
		err := broker.ReadPartition(t.Context(), cfg, broker.TopicReadings, p, end, func(_ int64, v []byte) error {
			out[string(v)]++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestAcknowledgedRecordsOutliveKills(t *testing.T) {
	for kind, keeps := range map[string]bool{"disk": true, "memory": false} {
		t.Run(kind, func(t *testing.T) {
			s := serve(t, kind)
			if err := broker.EnsureTopics(t.Context(), s.client(t), 4); err != nil {
				t.Fatal(err)
			}
			addr, times := s.addr, 3
			if !keeps {
				times = 1
			}
			acked := acknowledge(t, s, times, !keeps, func() {
				s.kill(t)
				s.start(t)
				if keeps && s.addr != addr {
					t.Errorf("it was at %s, is at %s", addr, s.addr)
				}
				// In memory the topics are gone too; the disk has them already.
				if err := broker.EnsureTopics(t.Context(), s.client(t), 4); err != nil {
					t.Error(err)
				}
			})
			have := stored(t, s)
			missing, twice := 0, 0
			for v := range acked {
				if have[v] == 0 {
					missing++
				}
			}
			for _, n := range have {
				twice += n - 1
			}
			t.Logf("acknowledged %d, stored %d, missing %d, more than once %d", len(acked), len(have), missing, twice)
			if len(acked) < 3000 {
				t.Fatalf("only %d were acknowledged: the kills met no traffic", len(acked))
			}
			if keeps && missing != 0 {
				t.Errorf("%d acknowledged records are missing", missing)
			}
			// The negative control: without a data directory this test sees loss.
			if !keeps && missing == 0 {
				t.Error("a broker in memory was killed and nothing is missing: the test is blind")
			}
		})
	}
}

// The commit law keeps a pending range in a commit's metadata and rests on the
// group's generation to fence a zombie.
func TestCommitsOutliveKills(t *testing.T) {
	s := serve(t, "disk")
	cl := s.client(t)
	if err := broker.EnsureTopics(t.Context(), cl, 2); err != nil {
		t.Fatal(err)
	}
	meta := strings.Repeat("m", 4000)
	want := kadm.Offsets{}
	want.Add(kadm.Offset{Topic: broker.TopicReadings, Partition: 1, At: 41, LeaderEpoch: -1, Metadata: meta})
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), "g", want); err != nil {
		t.Fatal(err)
	}
	s.kill(t)
	s.start(t)
	got, err := kadm.NewClient(s.client(t)).FetchOffsets(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	o, ok := got.Lookup(broker.TopicReadings, 1)
	if !ok || o.At != 41 || o.Metadata != meta {
		t.Fatalf("after the kill the commit is %d with %d bytes of metadata, %v", o.At, len(o.Metadata), ok)
	}
}

func TestCommitsAreFenced(t *testing.T) {
	s := serve(t, "disk")
	if err := broker.EnsureTopics(t.Context(), s.client(t), 2); err != nil {
		t.Fatal(err)
	}
	join := func() (*kgo.Client, string, int32) {
		joined := make(chan struct{}, 8)
		cl := s.client(t, kgo.ConsumerGroup("g"), kgo.ConsumeTopics(broker.TopicReadings), kgo.DisableAutoCommit(),
			kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { joined <- struct{}{} }))
		go cl.PollFetches(t.Context())
		select {
		case <-joined:
		case <-time.After(2 * time.Minute):
			t.Fatal("no member of the group")
		}
		member, generation := cl.GroupMetadata()
		return cl, member, generation
	}
	commit := func(member string, generation int32) error {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.MemberID, req.Generation = "g", member, generation
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Offset = 7
		topic := kmsg.NewOffsetCommitRequestTopic()
		topic.Topic, topic.Partitions = broker.TopicReadings, append(topic.Partitions, p)
		req.Topics = append(req.Topics, topic)
		resp, err := req.RequestWith(t.Context(), s.client(t, kgo.MaxVersions(kversion.V3_9_0())))
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	cl, member, generation := join()
	if err := commit(member, generation); err != nil {
		t.Fatal("the owner's commit: ", err)
	}
	if commit(member, generation-1) == nil || commit("somebody", generation) == nil {
		t.Fatal("a zombie's commit was taken")
	}
	s.kill(t)
	cl.Close()
	s.start(t)
	_, next, now := join()
	if next != member || now != generation {
		if err := commit(member, generation); err == nil {
			t.Fatal("a commit from before the kill was taken after another member joined")
		}
	}
	if err := commit(next, now); err != nil {
		t.Fatal("the new owner's commit: ", err)
	}
}
