package fault

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Variable names the environment variable that arms points, as a list
// "name:action[@n]" separated by commas. Actions: kill (SIGKILL to the own
// process), error, sleep=DURATION. With @n the action is taken at the n-th
// passing only, otherwise at each.
const Variable = "FOODFLOW_FAILPOINT"

// points is the armed set; nil when none is. It is the one package variable
// that is not constant: a point must be reachable from anywhere at no cost.
var points atomic.Pointer[armed]

type armed struct {
	mu  sync.Mutex // guards hits
	set map[string]*action
}

type action struct {
	do   string
	wait time.Duration
	at   int // 0: at each passing
	hits int
}

// Arm reads a specification as Variable holds it; "" disarms.
func Arm(spec string) error {
	if spec == "" {
		points.Store(nil)
		return nil
	}
	a := &armed{set: map[string]*action{}}
	for _, part := range strings.Split(spec, ",") {
		name, rest, ok := strings.Cut(part, ":")
		if !ok {
			return fmt.Errorf("reading failpoint %q: want name:action[@n]", part)
		}
		do, at, numbered := strings.Cut(rest, "@")
		act := &action{do: do}
		if numbered {
			n, err := strconv.Atoi(at)
			if err != nil || n < 1 {
				return fmt.Errorf("reading failpoint %q: want a positive number behind @", part)
			}
			act.at = n
		}
		if d, ok := strings.CutPrefix(do, "sleep="); ok {
			wait, err := time.ParseDuration(d)
			if err != nil {
				return fmt.Errorf("reading failpoint %q: %w", part, err)
			}
			act.do, act.wait = "sleep", wait
		}
		if act.do != "kill" && act.do != "error" && act.do != "sleep" {
			return fmt.Errorf("reading failpoint %q: unknown action %q", part, do)
		}
		a.set[name] = act
	}
	points.Store(a)
	return nil
}

// ArmFromEnvironment arms what Variable says.
func ArmFromEnvironment() error { return Arm(os.Getenv(Variable)) }

// Point is a place with a name. It returns an error only when armed to.
func Point(name string) error {
	a := points.Load()
	if a == nil {
		return nil
	}
	return a.pass(name)
}

func (a *armed) pass(name string) error {
	a.mu.Lock()
	act, ok := a.set[name]
	if !ok {
		a.mu.Unlock()
		return nil
	}
	act.hits++
	fire := act.at == 0 || act.hits == act.at
	a.mu.Unlock()
	if !fire {
		return nil
	}
	switch act.do {
	case "kill":
		// SIGKILL gives no deferred call a chance, which is the purpose.
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "sleep":
		time.Sleep(act.wait)
		return nil
	}
	return fmt.Errorf("failpoint %s: injected", name)
}
