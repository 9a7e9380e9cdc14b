package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

type oeeIn struct {
	SpanIn
	ID         string `path:"id" maxLength:"200" doc:"id or key of the line"`
	Resolution string `query:"resolution" enum:"1m,1h,1d,total" default:"total" doc:"length of a bucket in UTC; total makes one of the span"`
	ByProduct  bool   `query:"by_product" doc:"keep products apart"`
}

// maxBuckets of an answer: a minute each for a week.
const maxOEEBuckets = 7 * 24 * 60

// parts are what every figure is a ratio of; parts of any buckets and lines may
// be summed, figures never.
type parts struct {
	PlannedBusyMS int64   `json:"planned_busy_ms" doc:"ISO 22400 PBT"`
	RunMS         int64   `json:"run_ms" doc:"ISO 22400 APT"`
	IdealTotalMS  float64 `json:"ideal_total_ms" doc:"ideal time of all that was made"`
	IdealGoodMS   float64 `json:"ideal_good_ms" doc:"ideal time of what was made well"`
	Total         float64 `json:"total"`
	Good          float64 `json:"good"`
	Scrap         float64 `json:"scrap"`
	StartupScrap  float64 `json:"startup_scrap"`
	Rework        float64 `json:"rework"`
}

// figures are ratios, not rounded; null where the denominator is 0, and then
// reasons says why.
type figures struct {
	Availability *float64          `json:"availability" doc:"run over planned busy"`
	Performance  *float64          `json:"performance" doc:"ideal time of what was made over run; may pass 1, then flags says so"`
	Quality      *float64          `json:"quality" doc:"good over total"`
	OEE          *float64          `json:"oee" doc:"ideal time of the good over planned busy"`
	TEEP         *float64          `json:"teep" doc:"ideal time of the good over calendar time"`
	ScrapRate    *float64          `json:"scrap_rate" doc:"scrap over total"`
	Reasons      map[string]string `json:"reasons,omitempty" doc:"figure to why it is null"`
	Flags        []string          `json:"flags,omitempty" nullable:"false"`
}

type oeeItem struct {
	From     stamp    `json:"from" format:"date-time"`
	To       stamp    `json:"to" format:"date-time"`
	Product  string   `json:"product,omitempty"`
	Units    []string `json:"units" nullable:"false" doc:"what was counted"`
	Policies []string `json:"policies" nullable:"false" doc:"versions of the policy the parts were computed under"`
	Revised  bool     `json:"revised" doc:"late facts have changed these parts"`
	Parts    parts    `json:"parts"`
	Figures  figures  `json:"figures"`
}

type lineSpan[T any] struct {
	LineID     string  `json:"line_id" format:"uuid"`
	From       stamp   `json:"from" format:"date-time"`
	To         stamp   `json:"to" format:"date-time"`
	Items      []T     `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor" doc:"null: the answer holds the whole span"`
}

type lineSpanOut[T any] struct{ Body lineSpan[T] }

func ratio(over, under float64) *float64 {
	if under == 0 {
		return nil
	}
	v := over / under
	return &v
}

// computeFigures turns parts into ratios and names what can't be.
func computeFigures(p *query.OEEParts, calendarMS int64) figures {
	f := figures{
		Availability: ratio(float64(p.Run), float64(p.PlannedBusy)),
		Performance:  ratio(p.IdealTotal, float64(p.Run)),
		Quality:      ratio(p.Good, p.Total),
		OEE:          ratio(p.IdealGood, float64(p.PlannedBusy)),
		TEEP:         ratio(p.IdealGood, float64(calendarMS)),
		ScrapRate:    ratio(p.Scrap, p.Total),
		Reasons:      map[string]string{},
	}
	why := func(figure string, v *float64, reason string) {
		if v == nil {
			f.Reasons[figure] = reason
		}
	}
	why("availability", f.Availability, "no_planned_busy_time")
	why("oee", f.OEE, "no_planned_busy_time")
	why("teep", f.TEEP, "empty_span")
	why("quality", f.Quality, "nothing_made")
	why("scrap_rate", f.ScrapRate, "nothing_made")
	why("performance", f.Performance, "no_run_time")
	switch {
	case p.Total > 0 && p.IdealTotal == 0:
		// Something was made and no ideal rate says how long it should take:
		// 0 would be a figure, and a wrong one.
		f.Performance, f.OEE, f.TEEP = nil, nil, nil
		f.Reasons["performance"], f.Reasons["oee"], f.Reasons["teep"] = "no_ideal_rate", "no_ideal_rate", "no_ideal_rate"
	case p.Run == 0 && p.Total > 0:
		f.Flags = append(f.Flags, "output_without_run_time")
	case p.Run > 0 && p.Total == 0:
		f.Flags = append(f.Flags, "run_time_without_output")
	}
	if f.Performance != nil && *f.Performance > 1 {
		f.Flags = append(f.Flags, "performance_over_1")
	}
	if strings.Contains(p.Units, ",") {
		f.Flags = append(f.Flags, "mixed_units")
	}
	return f
}

func list(text string) []string {
	if text == "" {
		return []string{}
	}
	return strings.Split(text, ",")
}

func oeeOp(path, id, summary string) huma.Operation {
	return huma.Operation{
		Method: http.MethodGet, Path: opsPath + "lines/{id}/" + path, OperationID: id, Summary: summary, Tags: []string{"oee"},
		Description: "Without from, the last 24 hours. Spans and buckets are whole minutes of UTC.",
		Errors:      []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable},
	}
}

func (s *Server) oeeRoutes() {
	handle(s, readers(), oeeOp("oee", "line-oee", "OEE of a line: parts and figures"), func(ctx context.Context, in *oeeIn) (*lineSpanOut[oeeItem], error) {
		return span(ctx, s, in, oeeOf)
	})
	handle(s, readers(), oeeOp("ledger", "line-ledger", "The time ledger of a line: time in each class"), func(ctx context.Context, in *oeeIn) (*lineSpanOut[ledgerItem], error) {
		return span(ctx, s, in, ledgerOf)
	})
	handle(s, readers(), oeeOp("losses", "line-losses", "The six big losses of a line, in time"), func(ctx context.Context, in *oeeIn) (*lineSpanOut[lossItem], error) {
		return span(ctx, s, in, lossesOf)
	})
}

// oeeOf shows the parts of a span and what follows from them.
func oeeOf(p *query.OEEParts, from, to int64) oeeItem {
	return oeeItem{
		From: stamp(from), To: stamp(to), Product: p.Product, Units: list(p.Units), Policies: list(p.Policies), Revised: p.Revisions > 0,
		Parts: parts{
			PlannedBusyMS: p.PlannedBusy, RunMS: p.Run, IdealTotalMS: p.IdealTotal, IdealGoodMS: p.IdealGood,
			Total: p.Total, Good: p.Good, Scrap: p.Scrap, StartupScrap: p.StartupScrap, Rework: p.Rework,
		},
		Figures: computeFigures(p, to-from),
	}
}

// span reads the parts of a line's span and shapes each bucket.
func span[T any](ctx context.Context, s *Server, in *oeeIn, shape func(p *query.OEEParts, from, to int64) T) (*lineSpanOut[T], error) {
	l, err := s.line(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	from, to, err := in.times(s.Now(), 24*time.Hour)
	if err != nil {
		return nil, err
	}
	from, to = from/minuteMS*minuteMS, (to+minuteMS-1)/minuteMS*minuteMS
	bucket := map[string]int64{"1m": minuteMS, "1h": 60 * minuteMS, "1d": dayMS}[in.Resolution]
	if bucket > 0 && (to-from)/bucket > maxOEEBuckets {
		return nil, fault.NewInvalid(fault.Item{Location: "resolution", Rule: "range", Message: "is too fine for this span"})
	}
	rows, err := s.Readings.OEE(ctx, query.OEEQuery{Tenant: l.Tenant, Line: l.ID, From: from, To: to, BucketMS: bucket, ByProduct: in.ByProduct})
	if err != nil {
		return nil, err
	}
	out := &lineSpanOut[T]{lineSpan[T]{LineID: l.ID.String(), From: stamp(from), To: stamp(to), Items: make([]T, 0, len(rows))}}
	for i := range rows {
		start, end := from, to
		if bucket > 0 {
			// A bucket at an edge is cut by the span.
			start, end = max(from, rows[i].TS), min(to, rows[i].TS+bucket)
		}
		out.Body.Items = append(out.Body.Items, shape(&rows[i], start, end))
	}
	return out, nil
}

type ledgerItem struct {
	From    stamp            `json:"from" format:"date-time"`
	To      stamp            `json:"to" format:"date-time"`
	Product string           `json:"product,omitempty"`
	Classes map[string]int64 `json:"classes_ms" doc:"class of time to milliseconds; the classes exclude one another"`
	Known   int64            `json:"known_ms" doc:"the sum of the classes"`
	Span    int64            `json:"span_ms"`
}

func ledgerOf(p *query.OEEParts, from, to int64) ledgerItem {
	x := ledgerItem{From: stamp(from), To: stamp(to), Product: p.Product, Span: to - from, Classes: map[string]int64{}}
	for c, ms := range p.Times() {
		x.Classes[plant.TimeClass(c).String()] = ms
		x.Known += ms
	}
	return x
}

// lossItem is where the planned time that made nothing good went. The losses
// sum to total exactly: what no class explains stands in other.
type lossItem struct {
	From           stamp   `json:"from" format:"date-time"`
	To             stamp   `json:"to" format:"date-time"`
	Product        string  `json:"product,omitempty"`
	Breakdown      float64 `json:"breakdown_ms" doc:"availability"`
	Setup          float64 `json:"setup_ms" doc:"availability: setup, cleaning in place and between allergens"`
	MinorStop      float64 `json:"minor_stop_ms" doc:"performance"`
	ReducedSpeed   float64 `json:"reduced_speed_ms" doc:"performance; negative when faster than ideal"`
	ProcessRejects float64 `json:"process_rejects_ms" doc:"quality"`
	StartupRejects float64 `json:"startup_rejects_ms" doc:"quality"`
	Other          float64 `json:"other_ms" doc:"planned time in no class of loss: starved, blocked, no signal, planned stops that the policy counts"`
	Total          float64 `json:"total_ms" doc:"planned busy less ideal time of the good"`
}

func lossesOf(p *query.OEEParts, from, to int64) lossItem {
	rejects := p.IdealTotal - p.IdealGood
	startup := 0.0
	if p.Scrap > 0 {
		startup = rejects * p.StartupScrap / p.Scrap
	}
	x := lossItem{
		From: stamp(from), To: stamp(to), Product: p.Product,
		Breakdown: float64(p.Breakdown), Setup: float64(p.Setup + p.CIP + p.AllergenClean), MinorStop: float64(p.MinorStop),
		// The time run beyond what the output should have taken, without the
		// minor stops that the policy counts as run time.
		ReducedSpeed:   float64(p.Running) - p.IdealTotal,
		ProcessRejects: rejects - startup, StartupRejects: startup,
		Total: float64(p.PlannedBusy) - p.IdealGood,
	}
	x.Other = x.Total - x.Breakdown - x.Setup - x.MinorStop - x.ReducedSpeed - x.ProcessRejects - x.StartupRejects
	return x
}
