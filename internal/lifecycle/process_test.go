package lifecycle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/lifecycle"
	"github.com/foodflow/foodflow/internal/testkit/leak"
)

// roleVariable turns the test binary into a child or a parent of one.
const roleVariable = "FOODFLOW_LIFECYCLE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "":
		leak.Main(m)
	case "child":
		lifecycle.Ready()
		select {}
	case "parent":
		p := child("exec sleep 300")
		p.Probe = func(context.Context) error { return nil }
		if err := p.Start(context.Background()); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(p.PID())
		select {}
	}
}

func child(script string) *lifecycle.Process {
	return &lifecycle.Process{
		Name: "child", Path: "/bin/sh", Args: []string{"-c", script},
		Logger: slog.New(slog.DiscardHandler),
	}
}

// start starts p and ends it with the test.
func start(t *testing.T, p *lifecycle.Process) {
	t.Helper()
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(context.Background()) })
}

func within(ctx context.Context, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(ctx, d)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain for: ", what)
		}
	}
}

func TestProcessSaysReadyOnItsPipe(t *testing.T) {
	p := &lifecycle.Process{Name: "self", Path: os.Args[0], Env: []string{roleVariable + "=child"}, Logger: slog.New(slog.DiscardHandler)}
	start(t, p)
	if !alive(p.PID()) {
		t.Fatal("started, but no such process")
	}
	if err := p.Start(t.Context()); err == nil {
		t.Fatal("a second start was taken")
	}
	pid := p.PID()
	for range 2 {
		if err := p.Stop(within(t.Context(), time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if alive(pid) {
		t.Fatal("stopped, but the process lives")
	}
}

func TestProcessStartsAgainAfterKill(t *testing.T) {
	p := child("echo ready >&3; exec sleep 300")
	start(t, p)
	first := p.PID()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "another process", func() bool { return p.PID() != first && alive(p.PID()) })
}

func TestProcessThatCannotStart(t *testing.T) {
	for name, c := range map[string]struct {
		p    *lifecycle.Process
		want string
	}{
		"no such program": {&lifecycle.Process{Name: "child", Path: "/no/such/program", Logger: slog.New(slog.DiscardHandler)}, "no such file"},
		"ends at once":    {child("echo the disk is full; exit 3"), "the disk is full"},
		"closes its pipe": {child("exec 3>&-; exec sleep 300"), "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.p.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want one that says %q", err, c.want)
			}
			if pid := c.p.PID(); pid != 0 && alive(pid) {
				t.Fatal("it did not start, but it lives")
			}
			// It has nothing to wait for.
			if err := c.p.Stop(within(t.Context(), time.Minute)); err != nil {
				t.Fatal(err)
			}
		})
	}
	if err := child("").Stop(t.Context()); err != nil {
		t.Fatal("stopping what was never started: ", err)
	}
}

func TestProcessThatWillNotEndIsKilled(t *testing.T) {
	p := child("trap '' TERM; echo ready >&3; while :; do sleep 0.05; done")
	start(t, p)
	err := p.Stop(within(t.Context(), 200*time.Millisecond))
	if err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Fatalf("got %v", err)
	}
	if alive(p.PID()) {
		t.Fatal("it lives")
	}
}

func TestProcessGetsItsStopSignal(t *testing.T) {
	var out lines
	p := child("trap 'echo interrupted; exit 0' INT; echo ready >&3; while :; do sleep 0.05; done")
	p.Log, p.StopSignal = &out, syscall.SIGINT
	start(t, p)
	if err := p.Stop(within(t.Context(), time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "child | interrupted\n" {
		t.Fatalf("the log holds %q", got)
	}
}

// A child that crashes again and again must not use up threads.
func TestRestartsLeaveNoThreads(t *testing.T) {
	threads := func() int { return pprof.Lookup("threadcreate").Count() }
	crash := func() {
		for range 40 {
			if err := child("exit 1").Start(t.Context()); err == nil {
				t.Fatal("it can't have started")
			}
		}
	}
	crash() // a machine of many processors makes some threads of its own
	before := threads()
	crash()
	if grown := threads() - before; grown > 20 {
		t.Fatalf("40 starts left %d threads", grown)
	}
}

// The child dies with its parent, however the parent ends.
func TestChildDiesWithKilledParent(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil || !alive(pid) {
		t.Fatalf("no grandchild: %d, %v", pid, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the parent was killed, but ended well")
	}
	await(t, "the grandchild's end", func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return errors.Is(err, os.ErrNotExist) || bytes.Contains(b, []byte(") Z "))
	})
}

// lines is a log that a process's output goroutine and the test share.
type lines struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
