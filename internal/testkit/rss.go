package testkit

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// PeakRSS is the most memory that a running process ever held, in bytes.
func PeakRSS(t testing.TB, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	t.Fatalf("the kernel says nothing of the memory of process %d", pid)
	return 0
}
