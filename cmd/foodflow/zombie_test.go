package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestFrozenProcessorIsFenced (P7): a processor is stopped (SIGSTOP) past its
// session under load, another one takes over, and the first one wakes in the
// middle of what it was doing. No reading is stored twice, none is missing.
func TestFrozenProcessorIsFenced(t *testing.T) {
	in := install(t)
	in.env = []string{"FOODFLOW_SESSION_TIMEOUT=6s"} // the shortest that Kafka allows
	in.start()
	other := exec.Command(in.bin, "processors", "--kafka-brokers", in.Kafka, "--registry-url", in.Registry, "--clickhouse-url", in.Clickhouse,
		"--cache-dir", filepath.Join(in.dir, "data"), "--admin-addr", "127.0.0.1:0")
	other.Env = append(os.Environ(), in.env...)
	other.Stdout, other.Stderr = in, in
	l := in.slowLoad(3, 20*time.Millisecond)
	time.Sleep(time.Second)
	pid := in.child("processors")
	for round := range 2 {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		if round == 0 {
			if err := other.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = other.Process.Kill() }) // an error says that it is gone
		}
		// Past the session the other one has all slots once it has stored what
		// was accepted until now.
		time.Sleep(7 * time.Second)
		accepted := int(l.acked.Load())
		for deadline := at.Add(patience); !in.holds(accepted); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("nobody took the frozen processor's partitions\n%s", in.tail())
			}
		}
		took := time.Since(at)
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		t.Logf("frozen, taken over and caught up after %.1f s", took.Seconds())
	}
	acked := l.end()
	in.settled(acked)
	t.Logf("accepted %d, missing 0, twice 0", acked)
	if err := other.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := other.Wait(); err != nil {
		t.Fatalf("the other processor: %v\n%s", err, in.tail())
	}
	in.stop()
}
