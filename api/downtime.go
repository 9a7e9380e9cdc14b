package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/downtime"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

type downtimeIn struct {
	SpanIn
	ID            string   `path:"id" maxLength:"200" doc:"id or key of the line"`
	Class         []string `query:"class" maxItems:"10" enum:"no_signal,unscheduled,planned_stop,setup,cip,allergen_clean,breakdown,minor_stop,starved,blocked" doc:"only stops of these classes, by comma"`
	Reason        string   `query:"reason" maxLength:"200" doc:"only stops for this reason" example:"filler-jam"`
	MinDurationMS int64    `query:"min_duration_ms" minimum:"0" doc:"only stops at least so long"`
	Limit         int      `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor        string   `query:"cursor" maxLength:"4096" doc:"next_cursor of the page before"`
}

// stopItem is one stop.
type stopItem struct {
	From          stamp  `json:"from" format:"date-time"`
	To            stamp  `json:"to" format:"date-time" doc:"not included"`
	DurationMS    int64  `json:"duration_ms" example:"85000"`
	Class         string `json:"class" enum:"no_signal,unscheduled,planned_stop,setup,cip,allergen_clean,breakdown,minor_stop,starved,blocked" doc:"class of the time ledger"`
	State         string `json:"state" doc:"PackML state that it began in" example:"HELD"`
	Reason        string `json:"reason,omitempty" doc:"the first that was named in it" example:"filler-jam"`
	ReasonName    string `json:"reason_name,omitempty" doc:"while the reason exists" example:"Filler jam"`
	StartedBefore bool   `json:"started_before" doc:"it began before the span, which cuts it"`
	Ongoing       bool   `json:"ongoing" doc:"it lasts to the end of the span, or of what is known"`
}

type downtimeOut struct{ Body lineSpan[stopItem] }

const (
	minuteMS = int64(60_000)
	dayMS    = 24 * 60 * minuteMS
	// maxDays of ledger are looked through for one page; a page can be short or
	// empty and still have a cursor.
	maxDays = 31
)

func (s *Server) downtimeRoute() {
	op := oeeOp("downtime", "line-downtime", "Stops of a line, oldest first")
	op.Description = "Without from, the last 24 hours. The span is whole minutes of UTC. The stops of each class sum to the ledger's time in it, to the millisecond; a page can be short while next_cursor says that there is more."
	handle(s, readers(), op, s.downtime)
}

// resume is where a page of stops goes on: the minute, what the walk knew when
// it began it, and how many of its stops were given out already.
type resume struct {
	From, To, Minute int64
	Last, Given      int
	Open             downtime.Stop
}

func (s *Server) downtime(ctx context.Context, in *downtimeIn) (*downtimeOut, error) {
	l, err := s.line(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	c := s.cursors(l.Tenant.String(), "downtime", l.ID.String(), in.From, in.To, fmt.Sprint(in.Class), in.Reason, fmt.Sprint(in.MinDurationMS))
	position, err := c.read(in.Cursor)
	if err != nil {
		return nil, err
	}
	var at resume
	if position != "" {
		if err := json.Unmarshal([]byte(position), &at); err != nil {
			return nil, fmt.Errorf("reading cursor: %w", err)
		}
	} else {
		from, to, err := in.times(s.Now(), 24*time.Hour)
		if err != nil {
			return nil, err
		}
		from, to = from/minuteMS*minuteMS, (to+minuteMS-1)/minuteMS*minuteMS
		// The minute before tells what was going on.
		at = resume{From: from, To: to, Minute: max(from-minuteMS, 0), Last: -1}
	}
	p := &stopPage{s: s, in: in, line: l, at: at, out: make([]stopItem, 0, min(in.Limit, 100))}
	if err := p.fill(ctx); err != nil {
		return nil, err
	}
	out := &downtimeOut{lineSpan[stopItem]{LineID: l.ID.String(), From: stamp(at.From), To: stamp(at.To), Items: p.out}}
	if p.next != nil {
		text, err := json.Marshal(p.next)
		if err != nil {
			return nil, fmt.Errorf("writing cursor: %w", err)
		}
		out.Body.NextCursor = c.make(true, string(text))
	}
	return out, nil
}

// stopPage is a page in the making.
type stopPage struct {
	s    *Server
	in   *downtimeIn
	line *directory.Line
	at   resume
	out  []stopItem
	next *resume // nil: there is no more
}

func (p *stopPage) policy() downtime.Policy {
	limit := p.line.MinorStopMS
	if limit <= 0 {
		limit = plant.DefaultMinorStopMS
	}
	return downtime.Policy{MinorStopMS: limit, ClassOf: func(reason string) (plant.TimeClass, bool) {
		return p.s.Directory.ReasonClass(p.line.Tenant, reason)
	}}
}

// fill walks the ledger a day at a time until the page is full.
func (p *stopPage) fill(ctx context.Context) error {
	w := &downtime.Walker{Policy: p.policy(), Last: p.at.Last, Open: p.at.Open}
	begin, skip := p.at.Minute, p.at.Given
	for day := 0; begin < p.at.To; day++ {
		if day == maxDays {
			p.next = &resume{p.at.From, p.at.To, begin, w.Last, 0, w.Open}
			return nil
		}
		end := min(begin+dayMS, p.at.To)
		minutes, changes, err := p.read(ctx, begin, end)
		if err != nil {
			return err
		}
		for i := range minutes {
			if p.minute(w, minutes[i].Start, skip, func(emit func(downtime.Stop)) { w.Walk(minutes[i:i+1], changes, emit) }) {
				return nil
			}
			skip = 0
		}
		begin = end
	}
	p.minute(w, p.at.To, skip, func(emit func(downtime.Stop)) { w.End(emit) })
	return nil
}

// minute takes what one step of the walk gives; true when the page is full and
// more follows.
func (p *stopPage) minute(w *downtime.Walker, start int64, skip int, step func(func(downtime.Stop))) bool {
	before := resume{p.at.From, p.at.To, start, w.Last, skip, w.Open}
	n := 0
	step(func(x downtime.Stop) {
		n++
		if n <= skip || p.next != nil || !p.wanted(&x) {
			return
		}
		if len(p.out) == p.in.Limit {
			before.Given = n - 1
			p.next = &before
			return
		}
		p.out = append(p.out, p.item(x))
	})
	return p.next != nil
}

func (p *stopPage) wanted(x *downtime.Stop) bool {
	if x.To <= p.at.From {
		return false
	}
	if len(p.in.Class) > 0 && !slices.Contains(p.in.Class, x.Class.String()) || p.in.Reason != "" && p.in.Reason != x.Reason {
		return false
	}
	return x.To-max(x.From, p.at.From) >= p.in.MinDurationMS
}

func (p *stopPage) item(x downtime.Stop) stopItem {
	from := max(x.From, p.at.From)
	out := stopItem{
		From: stamp(from), To: stamp(x.To), DurationMS: x.To - from, Class: x.Class.String(), State: x.State.String(), Reason: x.Reason,
		StartedBefore: x.From < p.at.From, Ongoing: x.To == p.at.To,
	}
	if r, ok := p.s.Directory.StopReason(p.line.Tenant, x.Reason); ok {
		out.ReasonName = r.Name
	}
	return out
}

// read gives the ledger's minutes and the states that hold in them. States are
// read past the end as far as tells a minor stop from a breakdown.
func (p *stopPage) read(ctx context.Context, from, to int64) ([]downtime.Minute, []downtime.Change, error) {
	var states []query.LineState
	var failed error
	both := make(chan struct{})
	go func() { // beside the other: a page costs the slower of the two
		defer close(both)
		states, failed = p.s.Readings.LineStates(ctx, p.line.Tenant, p.line.ID, from, to+p.policy().MinorStopMS+minuteMS)
	}()
	parts, err := p.s.Readings.OEE(ctx, query.OEEQuery{Tenant: p.line.Tenant, Line: p.line.ID, From: from, To: to, BucketMS: minuteMS})
	<-both
	if err = errors.Join(err, failed); err != nil {
		return nil, nil, err
	}
	minutes := make([]downtime.Minute, len(parts))
	for i := range parts {
		minutes[i] = downtime.Minute{Start: parts[i].TS, TimeMS: parts[i].Times()}
	}
	changes := make([]downtime.Change, 0, len(states))
	for _, x := range states {
		st, ok := plant.ParseState(x.State)
		if !ok {
			return nil, nil, fault.New(fault.Internal, "a line event has the state %q", x.State)
		}
		changes = append(changes, downtime.Change{TS: x.TS, State: st, Reason: x.Reason})
	}
	return minutes, changes, nil
}
