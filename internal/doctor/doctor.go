package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Severity says how bad a finding is. The exit code is the worst one's.
type Severity int

// The severities.
const (
	OK Severity = iota
	Warning
	Error
)

// String names the severity.
func (s Severity) String() string { return [...]string{"ok", "warning", "error"}[s] }

// MarshalJSON writes the name.
func (s Severity) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Finding is one thing that a check saw.
type Finding struct {
	Check    string   `json:"check"` // kafka.topics
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	Means    string   `json:"means,omitempty"`
	Mend     string   `json:"mend,omitempty"`
}

// Check looks at one thing. What it finds without a Check's name gets it.
type Check struct {
	Name string
	Run  func(ctx context.Context) []Finding
}

// Fine is a finding that all is well.
func Fine(format string, args ...any) []Finding {
	return []Finding{{What: fmt.Sprintf(format, args...)}}
}

// Unreachable is the finding that a store doesn't answer.
func Unreachable(err error, mend string) []Finding {
	return []Finding{{Severity: Error, What: "does not answer: " + oneLine(err.Error()), Means: "what needs it stands still", Mend: mend}}
}

func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return text[:min(len(text), 300)]
}

// Run runs all checks at once, each for at most limit, and gives the findings in
// the order of the checks.
func Run(ctx context.Context, checks []Check, limit time.Duration) Report {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	results := make([]chan []Finding, len(checks))
	for i, c := range checks {
		results[i] = make(chan []Finding, 1) // one that comes too late is let go
		go func() { results[i] <- c.Run(ctx) }()
	}
	var r Report
	for i, c := range checks {
		var found []Finding
		select {
		case found = <-results[i]:
		case <-ctx.Done():
			select {
			case found = <-results[i]:
			case <-time.After(time.Second): // it may be on its way back with what it has
				found = []Finding{{Severity: Error, What: fmt.Sprintf("no answer within %s", limit), Means: "it is down, unreachable or overloaded", Mend: "look at its log and at the network between"}}
			}
		}
		for _, f := range found {
			if f.Check == "" {
				f.Check = c.Name
			}
			r.Findings = append(r.Findings, f)
		}
	}
	return r
}

// Report is what all checks found.
type Report struct {
	Findings []Finding `json:"findings"`
}

// Worst is the worst severity: the exit code 0, 1 or 2.
func (r Report) Worst() Severity {
	worst := OK
	for _, f := range r.Findings {
		worst = max(worst, f.Severity)
	}
	return worst
}

// WriteText writes the findings, the worst first.
func (r Report) WriteText(w io.Writer) error {
	sorted := slices.Clone(r.Findings)
	slices.SortStableFunc(sorted, func(a, b Finding) int { return int(b.Severity) - int(a.Severity) })
	var b strings.Builder
	for _, f := range sorted {
		fmt.Fprintf(&b, "%-8s%s: %s\n", f.Severity, f.Check, f.What)
		if f.Severity != OK {
			for _, line := range []string{f.Means, f.Mend} {
				if line != "" {
					fmt.Fprintf(&b, "        %s\n", line)
				}
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Redacted is an error's text without what an address in it may hold.
func Redacted(err error) string {
	words := strings.Fields(err.Error())
	for i, w := range words {
		if before, rest, ok := strings.Cut(w, "://"); ok {
			if _, host, ok := strings.Cut(rest, "@"); ok {
				words[i] = before + "://…@" + host
			}
		}
	}
	return strings.Join(words, " ")
}
