package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sort"
)

// Result is one figure.
type Result struct {
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	BareLoop float64 `json:"bare_loop,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"`
	// Target is what the design asks of the ratio, or of the value where there
	// is no bare loop.
	Target string `json:"target,omitempty"`
}

// Env is what benchmarks run on.
type Env struct {
	// ClickHouse is the address of an engine that may be filled.
	ClickHouse string
	// Library is where the engine's library is.
	Library string
	// EnginePID is the process of that engine.
	EnginePID int
	Dir       string
	// Readings is how many readings the processors get.
	Readings int
	// Rows is how many readings the table of api-reads has.
	Rows   int
	Logger *slog.Logger
}

// benchmark makes one or more figures.
type benchmark struct {
	name string
	run  func(ctx context.Context, e Env) (map[string]Result, error)
}

func all() []benchmark {
	return []benchmark{
		{"codec", codec},
		{"state", state},
		{"ingest-http", ingestHTTP},
		{"ingest-mqtt", ingestMQTT},
		{"processors", processors},
		{"latency", latency},
		{"stream-latency", streamLatency},
		{"api-reads", apiReads},
		{"restart", restart},
		{"engine", engine}, // the last: it loads the engine into this process
	}
}

// Names lists the benchmarks.
func Names() []string {
	var out []string
	for _, b := range all() {
		out = append(out, b.name)
	}
	return out
}

// Run runs the named benchmarks, all when there are no names, and prints each
// figure as it comes.
func Run(ctx context.Context, e Env, names []string, out io.Writer) (map[string]Result, error) {
	for _, n := range names {
		if !slices.Contains(Names(), n) {
			return nil, fmt.Errorf("no benchmark %q; there are %v", n, Names())
		}
	}
	results := map[string]Result{}
	for _, b := range all() {
		if len(names) > 0 && !slices.Contains(names, b.name) {
			continue
		}
		rs, err := b.run(ctx, e)
		if err != nil {
			return results, fmt.Errorf("benchmark %s: %w", b.name, err)
		}
		for _, name := range sortedKeys(rs) {
			results[name] = rs[name]
			fmt.Fprintln(out, line(name, rs[name]))
		}
	}
	return results, nil
}

func sortedKeys(m map[string]Result) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func line(name string, r Result) string {
	s := fmt.Sprintf("%-24s %14.0f %-14s", name, r.Value, r.Unit)
	if r.Value < 1000 {
		s = fmt.Sprintf("%-24s %14.2f %-14s", name, r.Value, r.Unit)
	}
	switch {
	case r.BareLoop >= 1000:
		s += fmt.Sprintf(" bare loop %14.0f   ratio %.2f", r.BareLoop, r.Ratio)
	case r.BareLoop > 0:
		s += fmt.Sprintf(" bare loop %14.2f   ratio %.2f", r.BareLoop, r.Ratio)
	}
	if r.Target != "" {
		s += "   target " + r.Target
	}
	return s
}

// against makes a result beside its bare loop.
func against(value, bare float64, unit, target string) Result {
	return Result{Value: value, Unit: unit, BareLoop: bare, Ratio: value / bare, Target: target}
}
