package simulate

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"

	"github.com/foodflow/foodflow/internal/plant"
)

// maxFaults bounds how many differences a report spells out.
const maxFaults = 50

// Report is what was expected and what was found.
type Report struct {
	OK   bool  `json:"ok"`
	From int64 `json:"from"` // of the window, Unix milliseconds
	To   int64 `json:"to"`
	Runs int   `json:"runs"`

	Readings Figures `json:"readings"`
	Minutes  Figures `json:"readings_1m"` // with those of others
	// Others are readings of the simulator's sensors with an identity that it
	// doesn't give: someone else sent them. Their number is judged by nobody.
	Others int64 `json:"others"`
	// Doubles are rows that share partition and offset, or sensor, time and
	// sequence number, with another.
	Doubles   int64     `json:"doubles"`
	Events    Figures   `json:"line_events"`
	OEE       Figures   `json:"oee_parts"` // lines × minutes × products
	Anomalies Anomalies `json:"anomalies"`

	Faults  []string `json:"faults,omitempty"`
	Omitted int      `json:"faults_omitted,omitempty"`
}

// Figures compare one table.
type Figures struct {
	Expected int64 `json:"expected"`
	Found    int64 `json:"found"`
	Missing  int64 `json:"missing"`
	Extra    int64 `json:"extra"`
	Wrong    int64 `json:"wrong"` // minutes that differ in whatever way
}

func (f *Figures) count(want, got int64) {
	f.Found += got
	f.Missing += max(want-got, 0)
	f.Extra += max(got-want, 0)
}

func (f *Figures) same() bool { return f.Missing == 0 && f.Extra == 0 && f.Wrong == 0 }

// Anomalies compare planted ones with those the detector found. They are
// reported and judged by nobody.
type Anomalies struct {
	Planted int           `json:"planted"`
	Found   int           `json:"found"`
	ByKind  map[Kind]Hits `json:"by_kind"`
	// Extra are findings outside planted windows: while the line produced, and
	// while it did not.
	ExtraRunning int `json:"extra_running"`
	ExtraStopped int `json:"extra_stopped"`
}

// Hits are how many were planted and found.
type Hits struct {
	Planted int `json:"planted"`
	Found   int `json:"found"`
}

// graceMS is how long after its end a planted anomaly may still be found.
const graceMS = minuteMS

func (t *truth) compareAnomalies(ctx context.Context, ch Querier, r *Report) error {
	rows, err := t.ask(ctx, ch, queryAnomalies)
	if err != nil {
		return err
	}
	a := &r.Anomalies
	a.ByKind = map[Kind]Hits{}
	hit := make([]bool, len(t.planted))
	for _, row := range rows {
		if len(row) != 3 {
			return fmt.Errorf("reading ClickHouse's answer: %d columns, want 3", len(row))
		}
		key, ok := t.sensors[row[0]]
		if !ok {
			continue
		}
		ts, err := strconv.ParseInt(row[1], 10, 64)
		if err != nil {
			return fmt.Errorf("reading ClickHouse's answer: %w", err)
		}
		extra := true
		for i := range t.planted {
			if p := &t.planted[i]; p.Sensor == key && ts >= p.From && ts < p.To+graceMS {
				hit[i], extra = true, false
			}
		}
		if extra && t.running(key, ts) {
			a.ExtraRunning++
		} else if extra {
			a.ExtraStopped++
		}
	}
	for i := range t.planted {
		h := a.ByKind[t.planted[i].Kind]
		h.Planted++
		a.Planted++
		if hit[i] {
			h.Found++
			a.Found++
		}
		a.ByKind[t.planted[i].Kind] = h
	}
	return nil
}

// running says whether the line of a sensor produced at ts.
func (t *truth) running(sensor string, ts int64) bool {
	for i := range t.plant.Lines {
		l := &t.plant.Lines[i]
		for j := range l.Sensors {
			if l.Sensors[j].Key != sensor {
				continue
			}
			for _, s := range t.states[l.Key] {
				if s.From <= ts && ts < s.To {
					return s.State == plant.StateExecute
				}
			}
		}
	}
	return false
}

func (r *Report) fault(format string, args ...any) {
	if len(r.Faults) >= maxFaults {
		r.Omitted++
		return
	}
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

// WriteText prints the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	verdict := "all as planted"
	if !r.OK {
		verdict = "NOT as planted"
	}
	fmt.Fprintf(&b, "%s: %s to %s, %d run(s)\n", verdict, clock(r.From), clock(r.To), r.Runs)
	fmt.Fprintf(&b, "%-14s %12s %12s %9s %9s %9s\n", "", "expected", "found", "missing", "extra", "wrong")
	for _, row := range []struct {
		name string
		f    Figures
	}{{"readings", r.Readings}, {"readings_1m", r.Minutes}, {"line_events", r.Events}, {"oee_parts", r.OEE}} {
		fmt.Fprintf(&b, "%-14s %12d %12d %9d %9d %9d\n", row.name, row.f.Expected, row.f.Found, row.f.Missing, row.f.Extra, row.f.Wrong)
	}
	fmt.Fprintf(&b, "%-14s %12d %12d\n", "doubles", 0, r.Doubles)
	if r.Others > 0 {
		fmt.Fprintf(&b, "%-14s %12s %12d   (readings of its sensors that the simulator did not send)\n", "from others", "", r.Others)
	}
	fmt.Fprintf(&b, "%-14s %12d %12d   (%d more while producing, %d while not)\n", "anomalies", r.Anomalies.Planted, r.Anomalies.Found, r.Anomalies.ExtraRunning, r.Anomalies.ExtraStopped)
	kinds := make([]string, 0, len(r.Anomalies.ByKind))
	for k := range r.Anomalies.ByKind {
		kinds = append(kinds, string(k))
	}
	sort.Strings(kinds)
	for _, k := range kinds {
		h := r.Anomalies.ByKind[Kind(k)]
		fmt.Fprintf(&b, "  %-12s %12d %12d\n", k, h.Planted, h.Found)
	}
	for _, f := range r.Faults {
		b.WriteString(f + "\n")
	}
	if r.Omitted > 0 {
		fmt.Fprintf(&b, "… and %d more\n", r.Omitted)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
