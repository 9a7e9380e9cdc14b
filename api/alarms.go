package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/alarm"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
)

const alarmsPath = opsPath + "alarms"

type alarmsIn struct {
	SpanIn
	State  []string `query:"state" maxItems:"7" enum:"active,acknowledged,cleared,normal,shelved,suppressed,out_of_service" doc:"only alarms in these states, by comma" example:"[\"active\",\"cleared\"]"`
	Line   string   `query:"line" maxLength:"200" doc:"id or key of a line" example:"bottling-1"`
	Sensor string   `query:"sensor" maxLength:"200" doc:"id or key of a sensor" example:"filler-temperature"`
	Kind   string   `query:"kind" enum:"limit_ll,limit_l,limit_h,limit_hh,range,rate" doc:"only of this limit"`
	Limit  int      `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string   `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before"`
}

// AlarmIn names an alarm that is acted on. If-Match is optional, as for batches.
type AlarmIn struct {
	ID      string `path:"id" format:"uuid" doc:"id of the alarm"`
	IfMatch string `header:"If-Match" doc:"ETag of the version that is meant; none: whichever holds"`
}

type alarmIn struct {
	ID          string `path:"id" format:"uuid" doc:"id of the alarm"`
	IfNoneMatch string `header:"If-None-Match" doc:"ETags that the caller has: answer 304 while one of them holds"`
}

type commentIn struct {
	AlarmIn
	Body struct {
		Comment string `json:"comment,omitempty" maxLength:"2000" doc:"stands in the alarm's history" example:"valve checked, product held back"`
	}
}

type reasonIn struct {
	AlarmIn
	Body struct {
		Comment string `json:"comment" minLength:"1" maxLength:"2000" doc:"why; stands in the alarm's history" example:"probe is being calibrated"`
	}
}

type shelveIn struct {
	AlarmIn
	Body struct {
		Kind    string    `json:"kind" enum:"timed,one_shot" doc:"timed ends by the clock, one_shot when the condition clears" example:"timed"`
		Until   time.Time `json:"until,omitempty" doc:"when a timed shelf ends, at most seven days ahead; it ends within a minute of it"`
		Minutes int       `json:"minutes,omitempty" minimum:"1" maximum:"10080" doc:"for how long, instead of until" example:"60"`
		Comment string    `json:"comment" minLength:"1" maxLength:"2000" doc:"why; stands in the alarm's history" example:"probe is being calibrated"`
	}
}

func (s *Server) alarmRoutes() {
	list := huma.Operation{Method: http.MethodGet, Path: alarmsPath, OperationID: "list-alarms", Summary: "Alarms, the newest occurrence first", Tags: []string{"alarms"}}
	list.Description = "One alarm a limit of a sensor that was ever passed. Its transitions stand in the event store: `GET /api/v1/events?aggregate_id=`."
	list.Errors = []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError}
	handle(s, readers(), list, s.alarms)
	get := huma.Operation{Method: http.MethodGet, Path: alarmsPath + "/{id}", OperationID: "get-alarm", Summary: "Read an alarm", Tags: []string{"alarms"}}
	handle(s, readers(), get, func(ctx context.Context, in *alarmIn) (*oneOut[masterdata.Alarm], error) {
		a, err := s.Store.Alarms().Get(ctx, principal(ctx).Tenant, in.ID)
		if err != nil {
			return nil, err
		}
		return &oneOut[masterdata.Alarm]{etag(a.Version), a}, nil
	})
	act(s, operators(), "acknowledge", "Say that the latest occurrence was seen", func(in *commentIn) (AlarmIn, alarm.Input, string, error) {
		return in.AlarmIn, alarm.Input{Action: alarm.Acknowledge}, in.Body.Comment, nil
	})
	act(s, operators(), "shelve", "Put an alarm aside for a time", s.shelve)
	act(s, operators(), "unshelve", "Take an alarm from its shelf", func(in *commentIn) (AlarmIn, alarm.Input, string, error) {
		return in.AlarmIn, alarm.Input{Action: alarm.Unshelve}, in.Body.Comment, nil
	})
	act(s, managers(), "out-of-service", "Take an alarm out of service", func(in *reasonIn) (AlarmIn, alarm.Input, string, error) {
		return in.AlarmIn, alarm.Input{Action: alarm.TakeOut}, in.Body.Comment, nil
	})
	act(s, managers(), "in-service", "Put an alarm back in service", func(in *commentIn) (AlarmIn, alarm.Input, string, error) {
		return in.AlarmIn, alarm.Input{Action: alarm.PutBack}, in.Body.Comment, nil
	})
}

func (s *Server) shelve(in *shelveIn) (AlarmIn, alarm.Input, string, error) {
	b := &in.Body
	x := alarm.Input{Action: alarm.Shelve, Shelf: alarm.Shelf(b.Kind)}
	wrong := func(location, message string) (AlarmIn, alarm.Input, string, error) {
		return in.AlarmIn, x, "", fault.NewInvalid(fault.Item{Location: location, Rule: "shelf", Message: message})
	}
	timed := !b.Until.IsZero() || b.Minutes > 0
	switch {
	case x.Shelf == alarm.OneShot && timed:
		return wrong("until", "a one-shot shelf has no time")
	case x.Shelf == alarm.Timed && !timed:
		return wrong("until", "a timed shelf needs until or minutes")
	case !b.Until.IsZero() && b.Minutes > 0:
		return wrong("minutes", "until stands there already")
	case b.Minutes > 0:
		x.Until = s.Now().Add(time.Duration(b.Minutes) * time.Minute).UnixMilli()
	default:
		x.Until = b.Until.UnixMilli()
	}
	return in.AlarmIn, x, b.Comment, nil
}

// act declares what a person can do to an alarm.
func act[I any](s *Server, roles Roles, verb, summary string, read func(*I) (AlarmIn, alarm.Input, string, error)) {
	op := huma.Operation{
		Method: http.MethodPost, Path: alarmsPath + "/{id}/" + verb, OperationID: verb + "-alarm", Summary: summary, Tags: []string{"alarms"},
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError},
	}
	handle(s, roles, changesOnce(op), func(ctx context.Context, in *I) (*oneOut[masterdata.Alarm], error) {
		which, what, comment, err := read(in)
		if err != nil {
			return nil, err
		}
		version := masterdata.AnyVersion
		if which.IfMatch != "" {
			if version, err = expected(which.IfMatch); err != nil {
				return nil, err
			}
		}
		a, err := s.Store.Alarms().Act(ctx, principal(ctx).Actor(), which.ID, version, what, comment)
		if err != nil {
			return nil, err
		}
		return &oneOut[masterdata.Alarm]{etag(a.Version), a}, nil
	})
}

func (s *Server) alarms(ctx context.Context, in *alarmsIn) (*listOut[masterdata.Alarm], error) {
	who := principal(ctx)
	f := masterdata.AlarmFilter{States: in.State, Kind: in.Kind, Limit: in.Limit}
	if in.Line != "" {
		l, err := s.line(ctx, in.Line)
		if err != nil {
			return nil, err
		}
		f.Line = l.ID
	}
	if in.Sensor != "" {
		x, err := s.sensor(ctx, in.Sensor)
		if err != nil {
			return nil, err
		}
		f.Sensor = x.ID
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
			return nil, err
		}
		*t.to = time.UnixMilli(ms).UTC()
	}
	c := s.cursors(who.Tenant.String(), alarmsPath, strings.Join(in.State, ","), in.Line, in.Sensor, in.Kind, in.From, in.To)
	position, err := c.read(in.Cursor)
	if err != nil {
		return nil, err
	}
	if position != "" {
		if f.BeforeSince, f.BeforeID, err = readPlace(position); err != nil {
			return nil, err
		}
	}
	list, more, err := s.Store.Alarms().List(ctx, who.Tenant, f)
	if err != nil {
		return nil, err
	}
	out := &listOut[masterdata.Alarm]{Page[*masterdata.Alarm]{Items: list}}
	if len(list) > 0 {
		last := list[len(list)-1]
		out.Body.NextCursor = c.make(more, placeAt(last.Since, last.ID))
	}
	return out, nil
}
