package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// clockTick is the unit of the times in /proc/PID/stat: sysconf(_SC_CLK_TCK),
// 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpu is the processor time that this process and the engine's have used. On a
// machine whose cores others use as well, it says more than the clock does.
func (e Env) cpu() (own, engine time.Duration, err error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, 0, fmt.Errorf("reading own processor time: %w", err)
	}
	own = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.EnginePID))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the engine's processor time: %w", err)
	}
	// The name in parentheses may hold spaces; utime and stime are the 12th and
	// 13th field behind it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	for _, f := range fields[11:13] {
		ticks, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("reading the engine's processor time: %w", err)
		}
		engine += time.Duration(ticks) * clockTick
	}
	return own, engine, nil
}
