package main_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/testkit"
	"github.com/foodflow/foodflow/processors/run"
)

// TestPubackMeansStored (P2): MQTT clients at QoS 1 while broker and listener
// are killed in turn. A message counts as acknowledged when the client library
// says that its PUBACK came; each of them is stored, once, by its own number.
// The control, an acknowledgement before Kafka's, is in ingest/mqttin
// (TestPubackSurvivesKills): the program has no switch for it.
func TestPubackMeansStored(t *testing.T) {
	in := install(t)
	in.start()
	var (
		journal [3]atomic.Int64 // of each client, the numbers 0 to n-1
		resent  atomic.Int64
		wg      sync.WaitGroup
		stop    = make(chan struct{})
	)
	base := time.Now().Add(-time.Hour).Truncate(time.Second).UnixMilli()
	for p := range journal {
		wg.Go(func() {
			var client mqtt.Client
			for seq := 0; ; seq++ {
				// The client stands in the last digit, for the query below.
				msg := fmt.Sprintf(`{"ts":%d,"value":%d,"seq":%d}`, base+int64(seq)*100+int64(p), seq%50, seq)
				for sent, try := false, 0; !sent; {
					select {
					case <-stop:
						return
					default:
					}
					if client == nil || !client.IsConnectionOpen() {
						client = in.mqttClient(p)
						continue
					}
					if try++; try > 1 {
						resent.Add(1)
					}
					token := client.Publish("ff/v1/"+in.Tenant+"/"+in.sensor(p), 1, false, msg)
					sent = token.WaitTimeout(5*time.Second) && token.Error() == nil && client.IsConnectionOpen()
				}
				journal[p].Add(1)
			}
		})
	}
	total := func() (n int64) {
		for p := range journal {
			n += journal[p].Load()
		}
		return n
	}
	in.until("messages are acknowledged", func() bool { return total() > 30 })
	for _, victim := range []string{"kafka-engine", " ingest ", "kafka-engine"} {
		in.kill(victim)
		before := total()
		time.Sleep(2 * time.Second)
		in.until("messages are acknowledged again", func() bool { return total() > before })
	}
	close(stop)
	wg.Wait()
	acked := int(total())
	in.settled(acked) // none twice, and the rollups agree
	missing := 0
	for p := range journal {
		n := int(journal[p].Load())
		q := fmt.Sprintf("SELECT uniqExact(seq) FROM foodflow.readings WHERE toUnixTimestamp64Milli(ts) %% 10 = %d AND seq < %d AND toUnixTimestamp64Milli(ts) = %d + seq * 100 + %d", p, n, base, p)
		have, err := strconv.Atoi(in.query(q))
		if err != nil {
			t.Fatal(err)
		}
		missing += n - have
	}
	if missing != 0 || acked == 0 {
		t.Errorf("acknowledged %d, missing %d", acked, missing)
	}
	drain := in.stop()
	t.Logf("acknowledged %d, missing %d, extra 0, sent again %d; drained in %v", acked, missing, resent.Load(), drain.Round(time.Millisecond))
}

// mqttClient connects, or returns nil after a pause.
func (in *installation) mqttClient(p int) mqtt.Client {
	return in.mqttWith(in.APIKey, fmt.Sprint("gateway-", p))
}

func (in *installation) mqttWith(key, id string) mqtt.Client {
	opts := mqtt.NewClientOptions().AddBroker("tcp://" + in.MQTT).SetClientID(id).SetUsername("key").SetPassword(key).
		SetAutoReconnect(false).SetConnectTimeout(time.Minute).SetCleanSession(true)
	c := mqtt.NewClient(opts)
	if token := c.Connect(); token.WaitTimeout(2*time.Minute) && token.Error() == nil {
		return c
	}
	time.Sleep(50 * time.Millisecond)
	return nil
}

// maxAwayRSS bounds the processors while ClickHouse is away: eight slots' queues
// of 32 MiB, as much again in batches on their way, and the collector's share.
const maxAwayRSS = 1 << 30

// outage is how long ClickHouse stays away; make chaos makes minutes of it.
func outage(t *testing.T) time.Duration {
	v := os.Getenv("FOODFLOW_TEST_OUTAGE")
	if v == "" {
		return 8 * time.Second
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		t.Fatal("FOODFLOW_TEST_OUTAGE: ", err)
	}
	return d
}

// TestClickHouseAway (P5): ClickHouse stands still under load. Ingest goes on,
// the processors hold back within their memory, and everything arrives once it
// is back.
func TestClickHouseAway(t *testing.T) {
	in := install(t)
	in.start()
	l := in.slowLoad(3, 10*time.Millisecond) // minutes of it stay behind the clock
	in.until("readings are stored", func() bool { return in.holds(100) })
	pid := in.child("clickhouse-engine")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	before := l.acked.Load()
	time.Sleep(outage(t))
	during := l.acked.Load() - before
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	acked := l.end()
	back := time.Now()
	in.settled(acked)
	took, missing, rss := time.Since(back), l.missing(), testkit.PeakRSS(t, in.child("processors"))
	t.Logf("accepted %d while ClickHouse was away; rows %s, acked %d, missing %d, extra %s; caught up in %.1f s; peak memory of the processors %d MiB",
		during, in.query("SELECT count() FROM foodflow.readings"), acked, missing, in.query(extra), took.Seconds(), rss>>20)
	if during == 0 {
		t.Error("ingest stood still with ClickHouse")
	}
	if missing != 0 {
		t.Errorf("%d accepted readings are missing", missing)
	}
	if rss > maxAwayRSS {
		t.Errorf("the processors took %d MiB, at most %d", rss>>20, maxAwayRSS>>20)
	}
	in.stop()
}

// swallow is an output with the protection off: what ClickHouse can't take now
// it lets go.
type swallow struct {
	next run.Inserter
	n    *atomic.Int64 // inserts let go
}

func (s swallow) Insert(ctx context.Context, b sink.Block, token string) error {
	err := s.next.Insert(ctx, b, token)
	if clickhouse.IsTransient(err) {
		s.n.Add(1)
		return nil
	}
	return err
}

// TestClickHouseAwayWithoutRetries is the control of P5: where an insert that
// can't be made now is not made again, accepted readings are missing.
func TestClickHouseAwayWithoutRetries(t *testing.T) {
	gone := new(atomic.Int64)
	p := newPlumbing(t, func(next run.Inserter) run.Inserter { return swallow{next, gone} })
	l := p.load(2)
	time.Sleep(300 * time.Millisecond)
	p.ways[processorsStore].Set(testkit.Cut)
	before := l.acked.Load()
	p.until("inserts are let go", func() bool { return l.acked.Load() > before && gone.Load() > 15 })
	p.ways[processorsStore].Set(testkit.Pass)
	// What comes now is stored, so the wait for it ends; what was let go stays away.
	after := int(l.acked.Load())
	p.until("readings are accepted", func() bool { return int(l.acked.Load()) > after+200 })
	acked := l.end()
	last := ""
	for quiet := time.Now(); time.Since(quiet) < 3*time.Second; time.Sleep(100 * time.Millisecond) {
		if now := p.query("SELECT count() FROM foodflow.readings"); now != last {
			last, quiet = now, time.Now()
		}
	}
	missing := l.missing()
	t.Logf("acked %d, missing %d", acked, missing)
	if missing == 0 {
		t.Error("inserts that failed were let go and nothing is missing: the test is blind")
	}
}
