package lifecycle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// ReadyFD is the file descriptor on which a child says that it is ready.
const ReadyFD = 3

// Ready tells the parent, if there is one that waits, that this process answers.
func Ready() {
	f := os.NewFile(ReadyFD, "ready")
	if f == nil {
		return
	}
	defer f.Close()
	if _, err := f.Stat(); err != nil || os.Getenv(readyVariable) == "" {
		return
	}
	_, _ = f.WriteString("ready\n") // a parent that is gone doesn't wait
}

// readyVariable is set for children that are waited for.
const readyVariable = "FOODFLOW_READY_FD"

// Process is a child process that is kept alive: when it ends by itself it is
// started again with a pause that grows while it keeps failing. It dies with
// its parent.
type Process struct {
	Name   string
	Path   string
	Args   []string
	Env    []string
	Dir    string
	User   *syscall.Credential // nil: the parent's
	Log    io.Writer           // the child's output, line by line with its name in front
	Logger *slog.Logger
	// Probe, when set, tells that the child answers; without it the child calls
	// Ready.
	Probe func(ctx context.Context) error
	// StopSignal is SIGTERM unless set.
	StopSignal syscall.Signal

	mu   sync.Mutex    // guards cur and quit
	cur  *child        // the last one started
	quit chan struct{} // closed by Stop
	done chan struct{} // closed when the keeper is gone
}

// child is one run of the process.
type child struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once the child is reaped and err is set
	err    error
}

// readyTimeout bounds the time until a child answers.
const readyTimeout = 3 * time.Minute

// Start starts the child and returns when it answers. A second Start is an
// error.
func (p *Process) Start(ctx context.Context) error {
	p.mu.Lock()
	if p.quit != nil {
		p.mu.Unlock()
		return fmt.Errorf("starting %s: it was started before", p.Name)
	}
	p.quit, p.done = make(chan struct{}), make(chan struct{})
	p.mu.Unlock()
	c, err := p.launch(ctx)
	if err != nil {
		close(p.done)
		return err
	}
	go p.keep(c) //nolint:contextcheck // it outlives ctx; Stop ends it
	return nil
}

// keep starts the child again whenever it ends.
func (p *Process) keep(c *child) {
	defer close(p.done)
	pause := firstPause
	for {
		began := time.Now()
		select {
		case <-p.quit:
			return
		case <-c.exited:
		}
		if time.Since(began) > time.Minute {
			pause = firstPause
		}
		p.Logger.Error("child process ended by itself, starting it again", "process", p.Name, "cause", c.err, "pause", pause)
		for {
			select {
			case <-p.quit:
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, lastPause)
			var err error
			if c, err = p.launch(context.Background()); err == nil {
				p.Logger.Info("child process answers again", "process", p.Name)
				break
			}
			p.Logger.Error("child process did not start", "process", p.Name, "error", err)
		}
	}
}

// The pause before a child is started again doubles from the first to the last.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// launch starts the child once and waits until it answers. A child that doesn't
// is gone when launch returns, so the next one finds its port and its directory
// free.
func (p *Process) launch(ctx context.Context) (*child, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making pipe: %w", err)
	}
	defer r.Close()
	cmd := exec.Command(p.Path, p.Args...) //nolint:noctx // it outlives ctx; Stop ends it
	cmd.Env = append(append(os.Environ(), readyVariable+"=1"), p.Env...)
	cmd.Dir = p.Dir
	cmd.ExtraFiles = []*os.File{w}
	out := &prefixer{name: p.Name, w: p.Log}
	cmd.Stdout, cmd.Stderr = out, out
	// A grandchild that holds the output open must not hold up the end.
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true, Credential: p.User}
	c, err := run(cmd)
	w.Close()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.Name, err)
	}
	p.mu.Lock()
	p.cur = c
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	answers := make(chan error, 1)
	go func() { answers <- p.answers(ctx, r) }()
	select {
	case <-c.exited:
	case err = <-answers:
		if err == nil {
			return c, nil
		}
	case <-p.quit:
		err = errEnded
	}
	grace := endGrace
	if errors.Is(err, errEnded) {
		grace = 0 // asked to stop
	}
	select {
	case <-c.exited:
		// A pipe that closes without a word says the same a moment earlier.
		return nil, fmt.Errorf("%s ended before it was ready: %w: %s", p.Name, errors.Join(c.err, errEnded), out.lastLine())
	case <-time.After(grace):
	}
	c.signal(syscall.SIGKILL)
	<-c.exited
	return nil, fmt.Errorf("%s does not answer: %w", p.Name, err)
}

// endGrace is how long a child whose pipe closed may take to be reaped before it
// counts as one that runs and doesn't answer.
const endGrace = 5 * time.Second

var errEnded = errors.New("process ended")

// run starts the child from a thread that stays until the child is reaped: the
// kernel sends Pdeathsig when the thread that started the child ends, not the
// process. Then the thread is given back; a child that crashes for days would
// use up the process's threads otherwise.
func run(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.exited)
		}
	}()
	return c, <-started
}

// signal reaches the child only while it is not reaped: afterwards its number
// may be another process's.
func (c *child) signal(s syscall.Signal) {
	_ = c.cmd.Process.Signal(s) // an error says that it is gone
}

func (p *Process) answers(ctx context.Context, r io.Reader) error {
	if p.Probe == nil {
		line := make(chan error, 1)
		go func() {
			_, err := bufio.NewReader(r).ReadString('\n')
			line <- err
		}()
		select {
		case err := <-line:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		err := p.Probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// PID is the number of the child last started, 0 before the first start.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cur == nil {
		return 0
	}
	return p.cur.cmd.Process.Pid
}

// Stop asks the child to end, waits until ctx does, and kills it then. The
// child is gone when Stop returns. Safe twice and without Start.
func (p *Process) Stop(ctx context.Context) error {
	p.mu.Lock()
	if p.quit == nil {
		p.mu.Unlock()
		return nil
	}
	select {
	case <-p.quit:
	default:
		close(p.quit)
	}
	p.mu.Unlock()
	<-p.done
	p.mu.Lock()
	c := p.cur
	p.mu.Unlock()
	if c == nil {
		return nil // it never started
	}
	sig := p.StopSignal
	if sig == 0 {
		sig = syscall.SIGTERM
	}
	c.signal(sig)
	select {
	case <-c.exited:
		return nil
	case <-ctx.Done():
	}
	c.signal(syscall.SIGKILL)
	<-c.exited
	return fmt.Errorf("%s did not end in time and was killed", p.Name)
}

// prefixer puts the child's name before each line.
type prefixer struct {
	name string
	w    io.Writer

	mu   sync.Mutex // guards part and last
	part []byte
	last string
}

// Write passes whole lines on.
func (x *prefixer) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.part = append(x.part, b...)
	for {
		i := 0
		for i < len(x.part) && x.part[i] != '\n' {
			i++
		}
		if i == len(x.part) {
			return len(b), nil
		}
		x.last = string(x.part[:i])
		if x.w != nil {
			_, _ = fmt.Fprintf(x.w, "%s | %s\n", x.name, x.last) // a log that is full must not stop the child
		}
		x.part = x.part[i+1:]
	}
}

func (x *prefixer) lastLine() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.last
}
