package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

const opsPath = "/api/v1/plant-ops/"

func (s *Server) lineRoutes() {
	crudRoutes[masterdata.Line, masterdata.LineFields, plainList](s, &resource[masterdata.Line, masterdata.LineFields]{
		path: opsPath + "lines", noun: "line", tag: "lines", things: s.Store.Lines(), write: managers(),
		fields: func(x *masterdata.Line) *masterdata.LineFields { return &x.LineFields },
		meta:   func(x *masterdata.Line) *masterdata.Meta { return &x.Meta },
		key:    func(x *masterdata.Line) string { return x.Key },
	})
	s.statusRoute()
}

type statusIn struct {
	ID   string `path:"id" maxLength:"200"`
	Body struct {
		State   string    `json:"state" doc:"PackML state" example:"EXECUTE"`
		Reason  string    `json:"reason,omitempty" maxLength:"200" doc:"stop reason" example:"filler-jam"`
		Product string    `json:"product,omitempty" maxLength:"100" doc:"the product being made from now on" example:"water-500"`
		TS      time.Time `json:"ts,omitempty" doc:"when; none: now"`
	}
}

type statusOut struct {
	Body struct {
		EventID string    `json:"event_id" format:"uuid"`
		LineID  string    `json:"line_id" format:"uuid"`
		State   string    `json:"state"`
		TS      time.Time `json:"ts"`
	}
}

// futureLimit is how far a clock may be ahead.
const futureLimit = 5 * time.Minute

// statusRoute takes a line's new state the way every line event goes: to Kafka
// first, so that the ledger sees it as if the line had sent it.
func (s *Server) statusRoute() {
	op := huma.Operation{
		Method: http.MethodPost, Path: opsPath + "lines/{id}/status", OperationID: "set-line-status", Summary: "Say what a line is doing", Tags: []string{"lines"},
		DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable},
	}
	handle(s, senders(), op, func(ctx context.Context, in *statusIn) (*statusOut, error) {
		l, err := s.line(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		state, ok := plant.ParseState(in.Body.State)
		if !ok {
			return nil, fault.NewInvalid(fault.Item{Location: "state", Rule: "enum", Message: "must be a PackML state, such as EXECUTE, HELD or CIP"})
		}
		ts, err := s.when(in.Body.TS)
		if err != nil {
			return nil, err
		}
		e := plant.LineEvent{Tenant: l.Tenant, Line: l.ID, TS: ts.UnixMilli(), Type: plant.EventState, State: state, Reason: in.Body.Reason, Product: in.Body.Product, Seq: plant.NoSeq}
		e.ID = plant.EventID(&e)
		if err := s.Recorder.LineEvents(ctx, []plant.LineEvent{e}); err != nil {
			return nil, err
		}
		out := &statusOut{}
		out.Body.EventID, out.Body.LineID, out.Body.State, out.Body.TS = e.ID.String(), l.ID.String(), state.String(), ts
		return out, nil
	})
}

// when settles the time of what is recorded by hand.
func (s *Server) when(ts time.Time) (time.Time, error) {
	now := s.Now().UTC().Truncate(time.Millisecond)
	if ts.IsZero() {
		return now, nil
	}
	if ts.After(now.Add(futureLimit)) || ts.Year() < 2000 {
		return ts, fault.NewInvalid(fault.Item{Location: "ts", Rule: "range", Message: "must be after 1999 and not in the future"})
	}
	return ts.UTC().Truncate(time.Millisecond), nil
}
