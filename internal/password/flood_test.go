package password

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The child of the flood is this test program again: a process that many log in
// to at once, with a gate so wide.
const childGate = "FOODFLOW_PASSWORD_GATE"

func TestMain(m *testing.M) {
	if gate, err := strconv.Atoi(os.Getenv(childGate)); err == nil {
		fmt.Println(flood(gate))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// flood lets a thousand log in at once, and gives the most memory that the
// process ever held, in MiB, and how many were sent away.
func flood(gate int) (peak, away int64) {
	h := New(gate, time.Second)
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if h.Waste(context.Background(), "a password") != nil {
				n.Add(1)
			}
		})
	}
	wg.Wait()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(status)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			return kb >> 10, n.Load()
		}
	}
	return 0, 0
}

// TestThousandLoginsAtOnce is the figure of promise S8: the peak memory of a
// process that a thousand log in to at once, and what it would be with a wide
// gate, the control.
func TestThousandLoginsAtOnce(t *testing.T) {
	measure := func(gate int) (peak, away int64) {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childGate+"="+strconv.Itoa(gate))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(string(out), &peak, &away); err != nil || peak == 0 {
			t.Fatalf("%q: %v", out, err)
		}
		return peak, away
	}
	narrow, away := measure(2)
	wide, _ := measure(16)
	t.Logf("a thousand log-ins at once: peak memory %d MiB, %d sent away; with a gate of 16: %d MiB", narrow, away, wide)
	// Under the race detector it is two and a half times as much.
	if narrow > 600 || wide < 2*narrow {
		t.Errorf("peak %d MiB, with a wide gate %d MiB", narrow, wide)
	}
}
