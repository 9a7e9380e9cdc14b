package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/plant"
)

// Querier runs a statement in FoodFlow's database of ClickHouse and returns its
// output; clickhouse.Client is one.
type Querier interface {
	Exec(ctx context.Context, statement string, settings url.Values) (string, error)
}

// Options say what is verified.
type Options struct {
	Plant demo.Plant
	// From and To bound the window, Unix milliseconds; 0: all the journal has.
	From, To int64
	// Wait is how long to ask again while the stores are still behind.
	Wait time.Duration
}

// Verify compares what ClickHouse holds with the journal. The error says that
// nothing could be compared; what differs is in the report.
func Verify(ctx context.Context, truth io.Reader, ch Querier, opts Options) (*Report, error) {
	runs, err := ReadTruth(truth)
	if err != nil {
		return nil, err
	}
	want := expected(runs, &opts)
	if want.to <= want.from {
		return nil, ErrNoTruth
	}
	deadline := time.Now().Add(opts.Wait)
	for {
		report, err := want.compare(ctx, ch)
		if err == nil && report.OK || time.Now().After(deadline) {
			return report, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("verifying: %w", ctx.Err())
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// cell is a sensor or line in a minute.
type cell struct {
	key    string
	minute int64
}

// truth is what the journal says of the window.
type truth struct {
	plant    *demo.Plant
	sensors  map[string]string // id to key
	lines    map[string]string
	given    given
	from, to int64
	runs     []Run

	readings map[cell]record
	events   map[cell]record
	oee      map[cell]map[string]figure // by product
	planted  []Planted
	states   map[string][]span // by line, for judging where extra anomalies lie
}

// given are the sensors with what their readings' identities follow from, as
// ClickHouse takes arrays.
type given struct{ ids, every, phases []string }

func expected(runs []Run, opts *Options) *truth {
	t := &truth{
		plant: &opts.Plant, sensors: map[string]string{}, lines: map[string]string{}, runs: runs,
		from: max(opts.From, runs[0].Origin), to: runs[len(runs)-1].Until,
		readings: map[cell]record{}, events: map[cell]record{}, oee: map[cell]map[string]figure{}, states: map[string][]span{},
	}
	if opts.To > 0 {
		t.to = min(t.to, opts.To)
	}
	// Whole minutes only.
	t.from += (minuteMS - t.from%minuteMS) % minuteMS
	t.to -= t.to % minuteMS
	for i := range opts.Plant.Lines {
		l := &opts.Plant.Lines[i]
		if l.ByHand {
			continue
		}
		t.lines[l.ID.String()] = l.Key
		for j := range l.Sensors {
			if s := &l.Sensors[j]; s.Key != demo.MachineTemperature {
				t.sensors[s.ID.String()] = s.Key
				t.given.ids = append(t.given.ids, "'"+s.ID.String()+"'")
				t.given.every = append(t.given.every, strconv.FormatInt(s.EveryMS, 10))
				t.given.phases = append(t.given.phases, strconv.FormatInt(phase(s), 10))
			}
		}
	}
	for _, run := range runs {
		for i := range run.records {
			t.take(&run, &run.records[i])
		}
	}
	return t
}

func (t *truth) take(run *Run, r *record) {
	inside := r.Minute >= t.from && r.Minute+minuteMS <= t.to
	switch r.T {
	case kindReadings:
		if inside {
			t.readings[cell{r.Sensor, r.Minute}] = *r
		}
	case kindEvents:
		if inside {
			t.events[cell{r.Line, r.Minute}] = *r
		}
	case kindOEE:
		if inside && r.OEE != nil {
			c := cell{r.Line, r.Minute}
			if t.oee[c] == nil {
				t.oee[c] = map[string]figure{}
			}
			t.oee[c][r.Product] = *r.OEE
		}
	case kindState:
		state, _ := plant.ParseState(r.State) // an unknown one is Undefined
		t.states[r.Line] = append(t.states[r.Line], span{From: r.From, To: r.To, State: state})
	case kindPlanted:
		// One that reaches past what was sent can't have been found whole.
		if r.From >= t.from && r.To <= min(t.to, run.Until) {
			t.planted = append(t.planted, Planted{r.Sensor, r.Kind, r.From, r.To})
		}
	}
}

// covered says whether the journal answers for a minute.
func (t *truth) covered(minute int64) bool {
	for i := range t.runs {
		if minute >= t.runs[i].Origin && minute+minuteMS <= t.runs[i].Until {
			return true
		}
	}
	return false
}

// ask runs a query over the tenant's rows of the window and gives its rows.
func (t *truth) ask(ctx context.Context, ch Querier, query string) ([][]string, error) {
	array := func(items []string) []string { return []string{"[" + strings.Join(items, ",") + "]"} }
	out, err := ch.Exec(ctx, query+" FORMAT TabSeparated", url.Values{
		"param_sensors": array(t.given.ids), "param_every": array(t.given.every), "param_phase": array(t.given.phases),
		"param_tenant": {demo.TenantID().String()},
		"param_from":   {strconv.FormatInt(t.from, 10)}, "param_to": {strconv.FormatInt(t.to, 10)},
	})
	if err != nil {
		return nil, fmt.Errorf("asking ClickHouse: %w", err)
	}
	var rows [][]string
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\n"), "\n") {
		if line != "" {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows, nil
}

// numbers reads the fields of a row from a place on.
func numbers(row []string, from, count int) ([]float64, error) {
	if len(row) != from+count {
		return nil, fmt.Errorf("reading ClickHouse's answer: %d columns, want %d", len(row), from+count)
	}
	out := make([]float64, count)
	for i := range out {
		v, err := strconv.ParseFloat(row[from+i], 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, fmt.Errorf("reading ClickHouse's answer: %w", err)
		}
		out[i] = v
	}
	return out, nil
}
