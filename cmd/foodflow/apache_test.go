package main_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/testkit"
)

// TestUpOnApacheKafka: the whole program on Apache Kafka. Kafka is killed under
// load, then everything is stopped and started again; nothing accepted is
// missing, nothing counts twice. The other engine refuses the directory.
func TestUpOnApacheKafka(t *testing.T) {
	testkit.ApacheLib(t)
	in := install(t)
	in.more = []string{"--kafka", "apache"}
	in.start()
	l := in.load(3)
	time.Sleep(time.Second)
	for range 2 {
		in.kill("kafka.Kafka")
		at := time.Now()
		time.Sleep(200 * time.Millisecond) // what was acknowledged before is answered by then
		l.nextOK.Store(0)
		in.until("readings are accepted after Kafka was killed", func() bool { return l.nextOK.Load() != 0 })
		t.Logf("killed Kafka, readings are accepted again after %v", time.Since(at).Round(100*time.Millisecond))
	}
	acked := l.end()
	in.settled(acked)
	if out, err := exec.CommandContext(t.Context(), in.bin, in.args()...).CombinedOutput(); err == nil || !strings.Contains(string(out), "in use by another foodflow") {
		t.Fatalf("a second start: %v\n%s", err, out)
	}
	drain := in.stop()
	in.more = nil
	if out, err := exec.CommandContext(t.Context(), in.bin, in.args()...).CombinedOutput(); err == nil || !strings.Contains(string(out), "--kafka apache") {
		t.Fatalf("the embedded Kafka on a directory of Apache Kafka: %v\n%s", err, out)
	}
	in.more = []string{"--kafka", "apache"}
	in.start()
	in.settled(acked)
	t.Logf("acked %d, missing 0, extra 0; drained in %v", acked, drain.Round(time.Millisecond))
	in.stop()
}
