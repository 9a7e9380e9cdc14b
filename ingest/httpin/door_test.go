package httpin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/testkit/leak"
	"github.com/foodflow/foodflow/schemas"
)

// doorVariable makes the test program a door, so that its memory can be
// measured apart from those who attack it. Its value says which limits hold.
const doorVariable = "FOODFLOW_TEST_DOOR"

// hostileReadTimeout is how long a slow body has.
const hostileReadTimeout = 2 * time.Second

func TestMain(m *testing.M) {
	if limits := os.Getenv(doorVariable); limits != "" {
		if err := beDoor(limits); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	leak.Main(m)
}

// beDoor serves until standard input ends.
func beDoor(limits string) error {
	l := ingest.DefaultLimits()
	if limits == "off" {
		l.Body, l.Decoded, l.InFlight, l.Quotas.TenantShare = 1<<40, 1<<40, 1<<40, 1
	}
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		return err
	}
	store, key, err := onePlant()
	if err != nil {
		return err
	}
	svc, err := ingest.NewService(store, codec, &sink{}, l, nil)
	if err != nil {
		return err
	}
	cfg := DefaultConfig()
	cfg.ReadTimeout = hostileReadTimeout
	if limits == "off" {
		cfg.ReadTimeout = 5 * time.Minute // nor does time bound what it takes in
	}
	s := New(cfg, svc, slog.New(slog.DiscardHandler))
	if err := s.Start(context.Background(), func(err error) { panic(err) }); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, s.Addr(), key)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// process is a door in a process of its own.
type process struct {
	addr, key string
	cmd       *exec.Cmd
	end, kill func()
}

func startDoor(t *testing.T, limits string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.CommandContext(t.Context(), self)}
	// The garbage collector lets each processor have its own, so that a large machine's
	// door takes more.
	p.cmd.Env = append(os.Environ(), doorVariable+"="+limits, "GOMAXPROCS=4")
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &p.addr, &p.key); err != nil {
		t.Fatal(err)
	}
	p.kill = func() {
		_ = p.cmd.Process.Kill()
		in.Close()
		_ = p.cmd.Wait() // it was killed, which Wait calls an error
	}
	p.end = func() {
		in.Close()
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the door did not end well: %v", err)
		}
	}
	return p
}
