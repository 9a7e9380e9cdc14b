package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
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
	time.Sleep(time.Second)
	for _, victim := range []string{"kafka-engine", " ingest ", "kafka-engine"} {
		in.kill(victim)
		time.Sleep(2 * time.Second)
	}
	close(stop)
	wg.Wait()
	acked := 0
	for p := range journal {
		acked += int(journal[p].Load())
	}
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
		SetAutoReconnect(false).SetConnectTimeout(2 * time.Second).SetCleanSession(true)
	c := mqtt.NewClient(opts)
	if token := c.Connect(); token.WaitTimeout(3*time.Second) && token.Error() == nil {
		return c
	}
	time.Sleep(50 * time.Millisecond)
	return nil
}

// TestClickHouseAway (P5): ClickHouse stands still under load. Ingest goes on,
// the processors hold back, and everything arrives once it is back.
func TestClickHouseAway(t *testing.T) {
	in := install(t)
	in.start()
	l := in.load(3)
	time.Sleep(time.Second)
	pid := in.child("clickhouse-engine")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	before := l.acked.Load()
	time.Sleep(8 * time.Second)
	during := l.acked.Load() - before
	rss := peakRSS(t, in.child("processors"))
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	acked := l.end()
	back := time.Now()
	in.settled(acked)
	if during == 0 {
		t.Error("ingest stood still with ClickHouse")
	}
	t.Logf("accepted %d while ClickHouse was away; all %d there %v after; peak memory of the processors %d MiB", during, acked, time.Since(back).Round(time.Millisecond), rss>>20)
	in.stop()
}

// peakRSS is the most memory a process ever held, in bytes.
func peakRSS(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
