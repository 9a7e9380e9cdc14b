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

type eventsIn struct {
	SpanIn
	Type          string `query:"type" maxLength:"100" doc:"only events of this type" example:"BatchStarted"`
	AggregateType string `query:"aggregate_type" maxLength:"100" doc:"only events of this kind of thing" example:"batch"`
	AggregateID   string `query:"aggregate_id" format:"uuid" doc:"only events of this thing"`
	Limit         int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor        string `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before"`
}

func (in *eventsIn) filter(now time.Time) (f masterdata.EventFilter, err error) {
	f = masterdata.EventFilter{Type: in.Type, AggregateType: in.AggregateType, Limit: in.Limit}
	if in.AggregateID != "" {
		if f.Aggregate, err = plant.ParseID(in.AggregateID); err != nil {
			return f, fault.NewInvalid(fault.Item{Location: "aggregate_id", Rule: "uuid", Message: "must be a UUID"})
		}
	}
	for _, t := range []struct {
		name, text string
		to         *time.Time
	}{{"from", in.From, &f.From}, {"to", in.To, &f.To}} {
		if t.text == "" {
			continue
		}
		ms, err := parseTime(t.name, t.text)
		if err != nil {
			return f, err
		}
		*t.to = time.UnixMilli(ms).UTC()
	}
	return f, nil
}

func (s *Server) eventRoutes() {
	op := huma.Operation{Method: http.MethodGet, Path: "/api/v1/events", OperationID: "list-events", Summary: "Read the event store, newest first", Tags: []string{"events"}, Description: withheldText}
	type eventsOut struct{ Body Page[*masterdata.Event] }
	handle(s, readers(), op, func(ctx context.Context, in *eventsIn) (*eventsOut, error) {
		who := principal(ctx)
		f, err := in.filter(s.Now())
		if err != nil {
			return nil, err
		}
		f.Without = withheld(who)
		c := s.cursors(who.Tenant.String(), op.Path, in.Type, in.AggregateType, in.AggregateID, in.From, in.To)
		position, err := c.read(in.Cursor)
		if err != nil {
			return nil, err
		}
		if position != "" {
			if f.BeforeTS, f.BeforeID, err = readPlace(position); err != nil {
				return nil, err
			}
		}
		events, more, err := s.Store.Events(ctx, who.Tenant, f)
		if err != nil {
			return nil, err
		}
		out := &eventsOut{Page[*masterdata.Event]{Items: events}}
		if len(events) > 0 {
			last := events[len(events)-1]
			out.Body.NextCursor = c.make(more, placeAt(last.TS, last.ID))
		}
		return out, nil
	})
}
