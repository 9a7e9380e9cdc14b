package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"

	"github.com/foodflow/foodflow/clickhouse/embedded"
	"github.com/foodflow/foodflow/cmd/foodflow/bench"
	"github.com/foodflow/foodflow/internal/lifecycle"
)

type benchCmd struct {
	Names    []string `arg:"" optional:"" help:"Which benchmarks; all without a name."`
	JSON     string   `help:"Write the figures here." name:"json" type:"path" placeholder:"FILE"`
	Readings int      `help:"Readings for the processors." default:"6000000"`
	Rows     int      `help:"Readings in the table that the API reads from." default:"10000000"`
	Profile  string   `help:"Write a CPU profile here." type:"path" placeholder:"FILE"`
	CacheDir string   `help:"Where engines are installed." type:"path" placeholder:"DIR"`
}

// Run measures on engines of its own, in a folder that is removed.
func (c *benchCmd) Run(e *env) error {
	cache, err := cacheDir(c.CacheDir)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "foodflow-bench-")
	if err != nil {
		return fmt.Errorf("making folder: %w", err)
	}
	defer os.RemoveAll(dir)
	lib, err := embedded.Install(e.ctx, cache, func(s string) { e.logger.Info("installing an engine", "what", s) })
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the own program: %w", err)
	}
	addrs, err := lifecycle.Ports(dir, map[string]string{"clickhouse": "127.0.0.1:0"})
	if err != nil {
		return err
	}
	p := &lifecycle.Process{
		Name: "clickhouse", Path: self, Log: os.Stderr, Logger: e.logger, Env: accountFlags{}.environ(),
		Args: []string{"--log-level", "warn", "clickhouse-engine", "--library", lib, "--dir", filepath.Join(dir, "clickhouse"), "--addr", addrs["clickhouse"]},
	}
	if err := p.Start(e.ctx); err != nil {
		return err
	}
	defer p.Stop(e.ctx) //nolint:errcheck // the folder goes anyway
	if c.Profile != "" {
		f, err := os.Create(c.Profile)
		if err != nil {
			return fmt.Errorf("making profile: %w", err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return fmt.Errorf("profiling: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	env := bench.Env{ClickHouse: "http://" + addrs["clickhouse"], Library: lib, EnginePID: p.PID(), Dir: dir, Readings: c.Readings, Rows: c.Rows, Logger: newLogger("warn", "text")}
	results, err := bench.Run(e.ctx, env, c.Names, e.out)
	if err != nil {
		return err
	}
	if c.JSON != "" {
		return lifecycle.WriteFile(c.JSON, results)
	}
	return nil
}

// cacheDir is where engines are installed.
func cacheDir(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	return lifecycle.CacheDir()
}
