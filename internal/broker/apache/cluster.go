package apache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/foodflow/foodflow/internal/lifecycle"
)

// Cluster is a Kafka of one or more brokers on this machine.
type Cluster struct {
	cfg    Config
	addrs  []string
	confs  []string // each broker's properties
	log    io.Writer
	logger *slog.Logger

	mu      sync.Mutex // guards brokers: Restart puts a new process in its place
	brokers []*lifecycle.Process
	stopped bool // guarded by mu
}

// clusterID is any base64 of 16 bytes.
const clusterID = "Zm9vZGZsb3ctdGVzdC1pZA"

// quiet keeps Kafka's own log to errors.
const quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"

// New settles the brokers' addresses and writes their properties; it starts
// nothing. The brokers' output goes to log, line by line.
func New(cfg Config, log io.Writer, logger *slog.Logger) (*Cluster, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making kafka data directory: %w", err)
	}
	if _, err := os.Stat(cfg.data(cfg.Brokers)); err == nil {
		return nil, fmt.Errorf("the kafka data directory %s is of a cluster of more than %d brokers", cfg.Dir, cfg.Brokers)
	}
	asked := map[string]string{}
	for i := range cfg.Brokers {
		asked[fmt.Sprint("broker", i)] = "127.0.0.1:0"
		asked[fmt.Sprint("controller", i)] = "127.0.0.1:0"
	}
	asked["broker0"] = cfg.Addr
	ports, err := lifecycle.Ports(cfg.Dir, asked)
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, log: log, logger: logger}
	var voters []string
	for i := range cfg.Brokers {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, ports[fmt.Sprint("controller", i)]))
		c.addrs = append(c.addrs, ports[fmt.Sprint("broker", i)])
	}
	for i, addr := range c.addrs {
		conf, err := cfg.write(i, addr, ports[fmt.Sprint("controller", i)], voters)
		if err != nil {
			return nil, err
		}
		c.confs = append(c.confs, conf)
		c.brokers = append(c.brokers, c.process(i))
	}
	return c, nil
}

// process is broker i, not started.
func (c *Cluster) process(i int) *lifecycle.Process {
	return &lifecycle.Process{
		Name: fmt.Sprint("kafka-", i+1), Path: "java", Log: c.log, Logger: c.logger,
		Args:  []string{fmt.Sprintf("-Xmx%dm", c.cfg.HeapMiB), quiet, "-cp", filepath.Join(c.cfg.Lib, "*"), "kafka.Kafka", c.confs[i]},
		Probe: func(ctx context.Context) error { return c.cfg.registered(ctx, c.addrs[i], 1) },
	}
}

// Start formats what isn't, starts all brokers and returns when each of them
// knows all. After an error none is left running. A second Start is an error.
func (c *Cluster) Start(ctx context.Context) error {
	for i := range c.addrs {
		if err := c.format(ctx, i); err != nil {
			return err
		}
	}
	// Brokers of a quorum wait for one another, so they start together, and the
	// first one that fails ends the wait of the others.
	all, cancel := context.WithCancel(ctx)
	defer cancel()
	err := c.each(func(p *lifecycle.Process) error {
		err := p.Start(all)
		if err != nil {
			cancel()
		}
		return err
	})
	if err == nil {
		err = c.await(ctx)
	}
	if err == nil {
		return nil
	}
	gone, free := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer free()
	return errors.Join(err, c.Stop(gone))
}

// format prepares the data directory of broker i, once. The tool writes
// meta.properties last, so a directory that it was killed in is formatted again.
func (c *Cluster) format(ctx context.Context, i int) error {
	if _, err := os.Stat(filepath.Join(c.cfg.data(i), "meta.properties")); err == nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, "java", quiet, "-cp", filepath.Join(c.cfg.Lib, "*"), "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", c.confs[i])
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("formatting the data directory of broker %d: %w: %s", i+1, err, bytes.TrimSpace(out))
	}
	return nil
}

// each calls f for all brokers at once and joins the errors.
func (c *Cluster) each(f func(*lifecycle.Process) error) error {
	c.mu.Lock()
	brokers := append([]*lifecycle.Process(nil), c.brokers...)
	c.mu.Unlock()
	errs := make([]error, len(brokers))
	var wg sync.WaitGroup
	for i, p := range brokers {
		wg.Go(func() { errs[i] = f(p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Seeds are the brokers' addresses.
func (c *Cluster) Seeds() []string { return c.addrs }

// broker gives broker i as it runs now.
func (c *Cluster) broker(i int) *lifecycle.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.brokers[i]
}

// Kill sends SIGKILL to broker i (from 0); it is started again by itself.
func (c *Cluster) Kill(i int) error { return c.signal(i, syscall.SIGKILL) }

// Freeze stops broker i (from 0) in its tracks (SIGSTOP); Thaw lets it go on.
func (c *Cluster) Freeze(i int) error { return c.signal(i, syscall.SIGSTOP) }

// Thaw wakes a broker that Freeze stopped.
func (c *Cluster) Thaw(i int) error { return c.signal(i, syscall.SIGCONT) }

func (c *Cluster) signal(i int, s syscall.Signal) error {
	if err := syscall.Kill(c.broker(i).PID(), s); err != nil {
		return fmt.Errorf("sending %v to broker %d: %w", s, i+1, err)
	}
	return nil
}

// Restart stops broker i (from 0) in order, starts it again and returns when
// every broker knows all, so that a rolling restart is one call after another.
func (c *Cluster) Restart(ctx context.Context, i int) error {
	if err := c.broker(i).Stop(ctx); err != nil {
		return fmt.Errorf("restarting broker %d: %w", i+1, err)
	}
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return fmt.Errorf("restarting broker %d: the cluster is stopped", i+1)
	}
	p := c.process(i)
	c.brokers[i] = p
	c.mu.Unlock()
	if err := p.Start(ctx); err != nil {
		return fmt.Errorf("restarting broker %d: %w", i+1, err)
	}
	return c.await(ctx)
}

// Stop ends all brokers at once: one that waits for a quorum would not end.
// Safe twice and without Start.
func (c *Cluster) Stop(ctx context.Context) error {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	return c.each(func(p *lifecycle.Process) error { return p.Stop(ctx) })
}
