package lint

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var metricName = regexp.MustCompile(`^foodflow_[a-z][a-z0-9]*(_[a-z0-9]+)+$`)

// Metric is a metric as the code names it.
type Metric struct {
	Place string
	Kind  string // Counter, Gauge, Histogram, Summary
	Name  string
	Help  bool
}

// MetricsOf lists the metrics whose options stand in the code as literals.
func MetricsOf(t *Tree) []Metric {
	var out []Metric
	for _, s := range t.sources() {
		if s.Test {
			continue
		}
		ast.Inspect(s.AST, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			sel, ok := lit.Type.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			kind, opts := strings.CutSuffix(sel.Sel.Name, "Opts")
			if !ok || x.Name != "prometheus" || !opts {
				return true
			}
			m := Metric{Place: t.at(lit), Kind: kind}
			for _, e := range lit.Elts {
				kv, ok := e.(*ast.KeyValueExpr)
				if !ok {
					continue
				}
				key, _ := kv.Key.(*ast.Ident)
				if key == nil {
					continue
				}
				switch key.Name {
				case "Name":
					if v, ok := kv.Value.(*ast.BasicLit); ok {
						m.Name, _ = strconv.Unquote(v.Value) // a literal that parsed
					} else {
						m.Name = "*"
					}
				case "Help":
					m.Help = true
				}
			}
			out = append(out, m)
			return true
		})
	}
	return out
}

// Metrics keeps names and labels: foodflow_<package>_<thing>_<unit>[_total],
// base units, no tenant and no sensor, whose number has no bound.
func Metrics(t *Tree) []Fault {
	var out []Fault
	for _, m := range MetricsOf(t) {
		if m.Name == "*" {
			continue // put together at run time by a helper, whose tests see the name
		}
		fault := func(format string, args ...any) {
			out = append(out, Fault{m.Place, fmt.Sprintf(format, args...)})
		}
		if !metricName.MatchString(m.Name) {
			fault("metric %q is not foodflow_<package>_<thing>_<unit>", m.Name)
		}
		if total := strings.HasSuffix(m.Name, "_total"); total != (m.Kind == "Counter") {
			fault("metric %q: _total belongs to counters, and to each of them", m.Name)
		}
		for _, unit := range []string{"_ms", "_milliseconds", "_millis", "_minutes", "_kb", "_mb", "_percent"} {
			if strings.HasSuffix(strings.TrimSuffix(m.Name, "_total"), unit) {
				fault("metric %q: base units are seconds, bytes and ratios", m.Name)
			}
		}
		if m.Kind == "Histogram" && !slices.ContainsFunc([]string{"_seconds", "_bytes", "_records", "_rows", "_ratio", "_items"}, func(u string) bool { return strings.HasSuffix(m.Name, u) }) {
			fault("histogram %q names no unit", m.Name)
		}
		if !m.Help {
			fault("metric %q has no help", m.Name)
		}
	}
	return append(out, labels(t)...)
}

// labels finds labels of unbounded number in calls of prometheus.New…Vec.
func labels(t *Tree) []Fault {
	var out []Fault
	for _, s := range t.sources() {
		if s.Test {
			continue
		}
		ast.Inspect(s.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 || !strings.HasPrefix(callee(call), "prometheus.New") || !strings.HasSuffix(callee(call), "Vec") {
				return true
			}
			lit, ok := call.Args[1].(*ast.CompositeLit)
			if !ok {
				return true
			}
			for _, e := range lit.Elts {
				v, ok := e.(*ast.BasicLit)
				if !ok {
					continue
				}
				switch name := strings.Trim(v.Value, "\"`"); name {
				case "tenant", "tenant_id", "sensor", "sensor_id", "line", "line_id", "user", "user_id", "path":
					out = append(out, Fault{t.at(v), fmt.Sprintf("label %q has no bound", name)})
				}
			}
			return true
		})
	}
	return out
}
