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

	mu   sync.Mutex // guards cmd and ended
	cmd  *exec.Cmd
	quit chan struct{} // closed by Stop
	done chan struct{} // closed when the keeper is gone
}

// readyTimeout bounds the time until a child answers.
const readyTimeout = 90 * time.Second

// Start starts the child and returns when it answers.
func (p *Process) Start(ctx context.Context) error {
	p.quit, p.done = make(chan struct{}), make(chan struct{})
	exited, err := p.launch(ctx)
	if err != nil {
		close(p.done)
		return err
	}
	go p.keep(exited) //nolint:contextcheck // it outlives ctx; Stop ends it
	return nil
}

// keep starts the child again whenever it ends.
func (p *Process) keep(exited <-chan error) {
	defer close(p.done)
	pause := 100 * time.Millisecond
	for {
		began := time.Now()
		var err error
		select {
		case <-p.quit:
			return
		case err = <-exited:
		}
		if time.Since(began) > time.Minute {
			pause = 100 * time.Millisecond
		}
		p.Logger.Error("child process ended by itself, starting it again", "process", p.Name, "cause", err, "pause", pause)
		for {
			select {
			case <-p.quit:
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, 10*time.Second)
			if exited, err = p.launch(context.Background()); err == nil {
				p.Logger.Info("child process answers again", "process", p.Name)
				break
			}
			p.Logger.Error("child process did not start", "process", p.Name, "error", err)
		}
	}
}

// launch starts the child once and waits until it answers.
func (p *Process) launch(ctx context.Context) (<-chan error, error) {
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
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true, Credential: p.User}
	err = startLocked(cmd)
	w.Close()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.Name, err)
	}
	p.mu.Lock()
	p.cmd = cmd
	p.mu.Unlock()
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	answers := make(chan error, 1)
	go func() { answers <- p.answers(ctx, r) }()
	select {
	case err := <-exited:
		return nil, fmt.Errorf("%s ended before it was ready: %w: %s", p.Name, errors.Join(err, errEnded), out.lastLine())
	case err := <-answers:
		if err != nil {
			p.signal(syscall.SIGKILL)
			return nil, fmt.Errorf("%s does not answer: %w", p.Name, err)
		}
		return exited, nil
	case <-p.quit:
		p.signal(syscall.SIGKILL)
		return nil, errEnded
	}
}

var errEnded = errors.New("process ended")

// startLocked starts the child from a thread that stays: the kernel sends
// Pdeathsig when the thread that started the child ends, not the process.
func startLocked(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- cmd.Start()
		select {} // the thread lives as long as this process
	}()
	return <-result
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

func (p *Process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && p.cmd.Process != nil {
		_ = syscall.Kill(p.cmd.Process.Pid, s) // an error says that it is gone
	}
}

// PID is the child's, 0 before the first start.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.cmd.Process == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Stop asks the child to end, waits until ctx does, and kills it then. Safe
// twice.
func (p *Process) Stop(ctx context.Context) error {
	if p.quit == nil {
		return nil
	}
	select {
	case <-p.quit:
		return nil
	default:
		close(p.quit)
	}
	<-p.done
	sig := p.StopSignal
	if sig == 0 {
		sig = syscall.SIGTERM
	}
	p.signal(sig)
	pid := p.PID()
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-ctx.Done():
			p.signal(syscall.SIGKILL)
			return fmt.Errorf("%s did not end in time and was killed", p.Name)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
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
