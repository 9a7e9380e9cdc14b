package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/intake"
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
	ID   string `path:"id" maxLength:"200" doc:"id or key"`
	Body struct {
		State   string   `json:"state" doc:"PackML state" example:"EXECUTE"`
		Reason  string   `json:"reason,omitempty" maxLength:"200" doc:"stop reason" example:"filler-jam"`
		Product string   `json:"product,omitempty" maxLength:"100" doc:"the product being made from now on" example:"water-500"`
		TS      *Instant `json:"ts,omitempty" doc:"when, RFC 3339 or Unix milliseconds; none: now"`
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
		if err := s.meter(ctx, 1); err != nil {
			return nil, err
		}
		e, err := s.stateEvent(l, in)
		if err != nil {
			return nil, err
		}
		if err := s.Recorder.LineEvents(ctx, []plant.LineEvent{e}); err != nil {
			return nil, err
		}
		out := &statusOut{}
		out.Body.EventID, out.Body.LineID, out.Body.State, out.Body.TS = e.ID.String(), l.ID.String(), e.State.String(), time.UnixMilli(e.TS).UTC()
		return out, nil
	})
}

// stateEvent makes the event and holds it to the rules of intake.
func (s *Server) stateEvent(l *directory.Line, in *statusIn) (plant.LineEvent, error) {
	now := s.Now().UnixMilli()
	e := plant.LineEvent{Tenant: l.Tenant, Line: l.ID, TS: now, Type: plant.EventState, Reason: in.Body.Reason, Product: in.Body.Product, Seq: plant.NoSeq}
	if in.Body.TS != nil {
		e.TS = int64(*in.Body.TS)
	}
	var bad []fault.Item
	state, item := intake.State(in.Body.State)
	for _, x := range []*fault.Item{item, intake.Text("reason", e.Reason, plant.MaxReason), intake.Text("product", e.Product, plant.MaxProduct)} {
		if x != nil {
			bad = append(bad, *x)
		}
	}
	if rule, message := s.cfg.Bounds.Time(e.TS, now); rule != "" {
		bad = append(bad, fault.Item{Location: "ts", Rule: rule, Message: message})
	}
	if bad != nil {
		return e, fault.NewInvalid(bad...)
	}
	e.State = state
	e.ID = plant.EventID(&e)
	return e, nil
}
