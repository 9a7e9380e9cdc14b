package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/plant"
)

type anomaliesIn struct {
	SpanIn
	Line     string  `query:"line" maxLength:"200" doc:"id or key of a line"`
	Sensor   string  `query:"sensor" maxLength:"200" doc:"id or key of a sensor"`
	Kind     string  `query:"kind" enum:"deviation,flatline,limit_ll,limit_l,limit_h,limit_hh,range,rate" doc:"only findings of this kind"`
	MinScore float64 `query:"min_score" minimum:"0" maximum:"1" doc:"only findings at least so sure"`
	Limit    int     `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor   string  `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before"`
}

// Anomaly is a finding about one sensor.
type Anomaly struct {
	ID        plant.ID  `json:"id" format:"uuid"`
	SensorID  plant.ID  `json:"sensor_id" format:"uuid"`
	SensorKey string    `json:"sensor_key,omitempty" doc:"while the sensor exists"`
	LineID    *plant.ID `json:"line_id,omitempty" format:"uuid" doc:"left out when the sensor is on no line"`
	Kind      string    `json:"kind" example:"deviation"`
	TS        stamp     `json:"ts" format:"date-time" doc:"of the reading that showed it"`
	Since     stamp     `json:"since" format:"date-time" doc:"of the excursion's first reading"`
	Value     float64   `json:"value"`
	Expected  float64   `json:"expected" doc:"what was expected, or the limit"`
	Unit      string    `json:"unit,omitempty"`
	Score     float64   `json:"score" doc:"0 to 1, comparable between sensors"`
}

func (s *Server) anomalyRoutes() {
	op := huma.Operation{
		Method: http.MethodGet, Path: opsPath + "anomalies", OperationID: "list-anomalies", Summary: "Anomalies, newest first", Tags: []string{"anomalies"},
		Description: "Without from, the last 24 hours.",
		Errors:      []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable},
	}
	handle(s, readers(), op, s.anomalies)
}

type anomaliesOut struct{ Body Page[Anomaly] }

func (s *Server) anomalies(ctx context.Context, in *anomaliesIn) (*anomaliesOut, error) {
	q := query.AnomaliesQuery{Tenant: principal(ctx).Tenant, Kind: in.Kind, MinScore: in.MinScore, Limit: in.Limit}
	if in.Line != "" {
		l, err := s.line(ctx, in.Line)
		if err != nil {
			return nil, err
		}
		q.Line = l.ID
	}
	if in.Sensor != "" {
		x, err := s.sensor(ctx, in.Sensor)
		if err != nil {
			return nil, err
		}
		q.Sensor = x.ID
	}
	c := s.cursors(q.Tenant.String(), "anomalies", in.Line, in.Sensor, in.Kind, fmt.Sprint(in.MinScore), in.From, in.To)
	position, err := c.read(in.Cursor)
	if err != nil {
		return nil, err
	}
	if q.From, q.To, err = in.times(s.Now(), 24*time.Hour); err != nil {
		return nil, err
	}
	if position != "" {
		span, id, _ := strings.Cut(position, "/")
		q.After = &query.AnomalyKey{}
		if _, err := fmt.Sscanf(span, "%d %d %d", &q.From, &q.To, &q.After.TS); err != nil {
			return nil, fmt.Errorf("reading cursor: %w", err)
		}
		if q.After.ID, err = plant.ParseID(id); err != nil {
			return nil, fmt.Errorf("reading cursor: %w", err)
		}
	}
	list, more, err := s.Readings.Anomalies(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &anomaliesOut{Page[Anomaly]{Items: make([]Anomaly, 0, len(list))}}
	for i := range list {
		out.Body.Items = append(out.Body.Items, s.anomaly(q.Tenant, &list[i]))
	}
	if n := len(list); n > 0 {
		out.Body.NextCursor = c.make(more, fmt.Sprintf("%d %d %d/%s", q.From, q.To, list[n-1].TS, list[n-1].ID))
	}
	return out, nil
}

func (s *Server) anomaly(tenant plant.ID, a *query.Anomaly) Anomaly {
	out := Anomaly{ID: a.ID, SensorID: a.Sensor, Kind: a.Kind, TS: stamp(a.TS), Since: stamp(a.Since), Value: a.Value, Expected: a.Expected, Score: a.Score}
	if !a.Line.IsZero() {
		out.LineID = &a.Line
	}
	if x, ok := s.Directory.SensorByID(a.Sensor); ok && x.Tenant == tenant {
		out.SensorKey, out.Unit = x.Key, x.Unit
	}
	return out
}
