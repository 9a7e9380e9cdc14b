package apache_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/broker/apache"
	"github.com/foodflow/foodflow/internal/lifecycle"
	"github.com/foodflow/foodflow/internal/testkit"
)

// processes counts those whose command line names dir.
func processes(t *testing.T, dir string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range lines {
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(dir)) {
			n++
		}
	}
	return n
}

// A rolling restart under acks from all loses nothing, and a broker counts as
// restarted only when all know it again.
func TestRollingRestart(t *testing.T) {
	c := testkit.Apache(t, 3)
	cfg := broker.DefaultConfig()
	cfg.Brokers = c.Seeds()
	cl, err := broker.Client(cfg, kgo.DefaultProduceTopic(broker.TopicReadings))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := broker.EnsureTopics(t.Context(), cl, 2); err != nil {
		t.Fatal(err)
	}
	adm := kadm.NewClient(cl)
	acked := 0
	for i := range 3 {
		for range 100 {
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(acked))).FirstErr(); err != nil {
				t.Fatal(err)
			}
			acked++
		}
		if err := c.Restart(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		meta, err := adm.BrokerMetadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(meta.Brokers) != 3 {
			t.Fatalf("after broker %d restarted %d brokers are known", i+1, len(meta.Brokers))
		}
	}
	ends, err := broker.EndOffsets(t.Context(), cfg, broker.TopicReadings)
	if err != nil {
		t.Fatal(err)
	}
	stored := 0
	for _, end := range ends {
		stored += int(end)
	}
	if stored != acked {
		t.Fatalf("acknowledged %d, stored %d", acked, stored)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(t.Context(), 0); err == nil {
		t.Fatal("a broker of a stopped cluster was started")
	}
}

// When one broker can't start, the others don't stay behind.
func TestFailedStartLeavesNothingRunning(t *testing.T) {
	// A port that stays free once it is given back: no outgoing connection gets it.
	port, err := lifecycle.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := apache.DefaultConfig()
	cfg.Lib, cfg.Dir, cfg.Brokers, cfg.Addr = testkit.ApacheLib(t), t.TempDir(), 3, taken.Addr().String()
	c, err := apache.New(cfg, io.Discard, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err == nil {
		t.Fatal("a broker started on a port that is taken")
	}
	if n := processes(t, cfg.Dir); n != 0 {
		t.Fatalf("%d brokers are left running", n)
	}
	// The control: with the port free the same directory starts, and the count
	// above sees brokers.
	taken.Close()
	if c, err = apache.New(cfg, io.Discard, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := processes(t, cfg.Dir); n != 3 {
		t.Errorf("%d of 3 brokers are seen", n)
	}
	for range 2 {
		if err := c.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := processes(t, cfg.Dir); n != 0 {
		t.Fatalf("%d brokers outlive Stop", n)
	}
	cfg.Brokers = 1
	if _, err := apache.New(cfg, io.Discard, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "more than 1") {
		t.Fatalf("two brokers of three were dropped: %v", err)
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	_, err := apache.New(apache.Config{Brokers: 10, Addr: "9092"}, io.Discard, slog.New(slog.DiscardHandler))
	for _, want := range []string{"kafka.lib: ", "kafka.dir: ", "kafka.brokers: ", "kafka.addr: ", "kafka.heap: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
}
