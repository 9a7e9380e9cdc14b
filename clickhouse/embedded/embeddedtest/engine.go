package embeddedtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded"
	"github.com/foodflow/foodflow/internal/lifecycle"
)

// Engine is an engine of a test's own, in a process that can be killed.
type Engine struct {
	URL string

	cmd   *exec.Cmd
	input io.Closer // its end is the process's end
	wait  func() error
}

// Run starts an engine on dir; args are flags of enginemain. It is stopped at
// the test's end unless it was before.
func Run(tb testing.TB, dir string, args ...string) *Engine {
	tb.Helper()
	e, err := run(dir, args...)
	if err != nil {
		missing(tb, err)
	}
	tb.Cleanup(func() { _ = e.Stop() }) // the test has judged its engine already
	return e
}

// Kill ends the engine as kill -9 does.
func (e *Engine) Kill() {
	_ = e.cmd.Process.Kill() // an error says that it is gone
	_ = e.wait()             // so is its exit status expected
}

// Stop asks the engine to end and gives its exit status.
func (e *Engine) Stop() error {
	_ = e.cmd.Process.Signal(syscall.SIGTERM) // an error says that it is gone
	return e.wait()
}

// PID is the process's id.
func (e *Engine) PID() int { return e.cmd.Process.Pid }

// readyTimeout bounds the time until an engine answers on a busy machine.
const readyTimeout = 90 * time.Second

func run(dir string, args ...string) (*Engine, error) {
	lib, program, err := prepare(dir)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, append([]string{"-library", lib, "-dir", dir}, args...)...) //nolint:noctx // ends with its input
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("making input: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("making output: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the engine: %w", err)
	}
	e := &Engine{cmd: cmd, input: in, wait: sync.OnceValue(cmd.Wait)}
	line := make(chan string, 1)
	go func() {
		s, _ := bufio.NewReader(out).ReadString('\n') // "" when it ended first
		line <- s
	}()
	select {
	case s := <-line:
		if s == "" {
			return nil, errors.Join(errors.New("the engine ended before it answered"), e.wait())
		}
		e.URL = "http://" + strings.TrimSpace(s)
		return e, nil
	case <-time.After(readyTimeout):
		e.Kill()
		return nil, errors.New("the engine does not answer")
	}
}

// prepare installs the engine's library and builds enginemain in dir, so that it
// goes with the data. A second start on dir finds it there.
func prepare(dir string) (lib, program string, err error) {
	cache, err := lifecycle.CacheDir()
	if err != nil {
		return "", "", fmt.Errorf("finding cache folder: %w", err)
	}
	lib, err = embedded.Install(context.Background(), cache, func(s string) { fmt.Fprintln(os.Stderr, s) })
	if err != nil {
		return "", "", err
	}
	program = filepath.Join(dir, "enginemain")
	if _, err := os.Stat(program); err == nil {
		return lib, program, nil
	}
	cmd := exec.Command("go", "build", "-o", program, "github.com/foodflow/foodflow/clickhouse/embedded/enginemain") //nolint:noctx // short
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("building the engine's program: %w: %s", err, out)
	}
	return lib, program, nil
}
