package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

type readingsIn struct {
	SpanIn
	ID         string `path:"id" maxLength:"200" doc:"id or key of the sensor"`
	Resolution string `query:"resolution" enum:"raw,1m,1h,1d,auto" default:"auto" doc:"auto chooses by the length of the span"`
	Limit      int    `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
	Cursor     string `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before"`
}

// readingsOut holds raw readings or buckets, according to resolution; fields
// that the resolution doesn't have are left out.
type readingsOut struct {
	Body readingsBody
}

type readingsBody struct {
	SensorID   string  `json:"sensor_id" format:"uuid"`
	Unit       string  `json:"unit" example:"degC"`
	Resolution string  `json:"resolution" enum:"raw,1m,1h,1d" doc:"the one that was used"`
	Items      []point `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor"`
}

// point is a raw reading (value, quality, seq, score) or a bucket (count and
// figures of its readings that are not of bad quality).
type point struct {
	TS      stamp    `json:"ts" format:"date-time"`
	Value   *float64 `json:"value,omitempty" doc:"raw only"`
	Quality string   `json:"quality,omitempty" enum:"good,uncertain,bad" doc:"raw only"`
	Seq     *int64   `json:"seq,omitempty" doc:"raw only: the producer's own, or, for a reading that came without a time, one that tells it apart"`
	Score   *float64 `json:"score,omitempty" doc:"raw only: anomaly score, 0 to 1"`
	Count   *uint64  `json:"count,omitempty" doc:"buckets only"`
	Valid   *uint64  `json:"valid,omitempty" doc:"buckets only: readings not of bad quality"`
	Mean    *float64 `json:"mean,omitempty"`
	Min     *float64 `json:"min,omitempty"`
	Max     *float64 `json:"max,omitempty"`
	First   *float64 `json:"first,omitempty"`
	Last    *float64 `json:"last,omitempty"`
}

func rawPoint(r *query.Reading) point {
	p := point{TS: stamp(r.TS), Value: &r.Value, Quality: r.Quality, Score: &r.Score}
	if r.Seq != plant.NoSeq {
		p.Seq = &r.Seq
	}
	return p
}

func bucketPoint(b *query.Bucket) point {
	return point{TS: stamp(b.TS), Count: &b.Count, Valid: &b.Valid, Mean: b.Mean, Min: b.Min, Max: b.Max, First: b.First, Last: b.Last}
}

func (s *Server) readingRoutes() {
	op := huma.Operation{
		Method: http.MethodGet, Path: opsPath + "sensors/{id}/readings", OperationID: "list-readings", Summary: "Readings of a sensor, oldest first", Tags: []string{"readings"},
		Description: "Without from, the last hour.",
		Errors:      []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable},
	}
	handle(s, readers(), op, s.readings)
	latest := op
	latest.Path, latest.OperationID, latest.Summary, latest.Description = op.Path+"/latest", "latest-reading", "The youngest reading of a sensor", ""
	latest.Errors = slices.Clone(op.Errors)
	handle(s, readers(), latest, s.latest)
	s.recordRoutes()
}

func (s *Server) readings(ctx context.Context, in *readingsIn) (*readingsOut, error) {
	x, err := s.sensor(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	// A span that ends now must not move between pages, so a page after the
	// first takes it from the cursor.
	c := s.cursors(x.Tenant.String(), "readings", x.ID.String(), in.From, in.To, in.Resolution)
	position, err := c.read(in.Cursor)
	if err != nil {
		return nil, err
	}
	q := query.ReadingsQuery{Tenant: x.Tenant, Sensor: x.ID, Limit: in.Limit}
	if q.From, q.To, err = in.times(s.Now(), time.Hour); err != nil {
		return nil, err
	}
	if position != "" {
		var k query.ReadingKey
		if _, err := fmt.Sscanf(position, "%d %d %d %d %d", &q.From, &q.To, &k.TS, &k.Partition, &k.Offset); err != nil {
			return nil, fmt.Errorf("reading cursor: %w", err)
		}
		q.After = &k
	}
	res := query.Resolution(in.Resolution)
	if res == "auto" {
		res = query.Auto(q.From, q.To)
	}
	out := &readingsOut{readingsBody{SensorID: x.ID.String(), Unit: x.Unit, Resolution: string(res), Items: []point{}}}
	last, more, err := s.points(ctx, res, q, &out.Body.Items)
	if err != nil {
		return nil, err
	}
	out.Body.NextCursor = c.make(more, fmt.Sprintf("%d %d %d %d %d", q.From, q.To, last.TS, last.Partition, last.Offset))
	return out, nil
}

type latestOut struct {
	Body struct {
		SensorID string `json:"sensor_id" format:"uuid"`
		Unit     string `json:"unit" example:"degC"`
		Reading  *point `json:"reading,omitempty" doc:"left out when there is none"`
	}
}

// latest gives the youngest reading by the device's time.
func (s *Server) latest(ctx context.Context, in *latestIn) (*latestOut, error) {
	x, err := s.sensor(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	r, ok, err := s.Readings.Latest(ctx, x.Tenant, x.ID)
	if err != nil {
		return nil, err
	}
	out := &latestOut{}
	out.Body.SensorID, out.Body.Unit = x.ID.String(), x.Unit
	if ok {
		p := rawPoint(&r)
		out.Body.Reading = &p
	}
	return out, nil
}

type latestIn struct {
	ID string `path:"id" maxLength:"200" doc:"id or key of the sensor"`
}

func (s *Server) points(ctx context.Context, res query.Resolution, q query.ReadingsQuery, to *[]point) (last query.ReadingKey, more bool, err error) {
	if res == query.Raw {
		list, more, err := s.Readings.Readings(ctx, q)
		for i := range list {
			*to = append(*to, rawPoint(&list[i]))
			last = list[i].Key()
		}
		return last, more, err
	}
	list, more, err := s.Readings.Buckets(ctx, res, q)
	for i := range list {
		*to = append(*to, bucketPoint(&list[i]))
		last.TS = list[i].TS
	}
	return last, more, err
}

// NewReading is a reading recorded by hand.
type NewReading struct {
	TS      *Instant `json:"ts,omitempty" doc:"when, RFC 3339 or Unix milliseconds; none: now, and a reading of its own each time it is sent"`
	Value   float64  `json:"value" example:"4.2"`
	Quality string   `json:"quality,omitempty" enum:"good,uncertain,bad" default:"good"`
	Seq     *int64   `json:"seq,omitempty" minimum:"0"`
}

type bulkReading struct {
	NewReading
	Sensor string `json:"sensor" maxLength:"200" doc:"id or key" example:"filler-temperature"`
}

type acceptedOut struct {
	Body struct {
		Accepted int `json:"accepted" example:"1"`
	}
}

func recordOp(path, id, summary string) huma.Operation {
	return huma.Operation{
		Method: http.MethodPost, Path: opsPath + path, OperationID: id, Summary: summary, Tags: []string{"readings"}, DefaultStatus: http.StatusAccepted,
		Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable},
	}
}

// recordRoutes takes readings by hand; they go the way of all readings. A
// gateway that sends many uses the ingest port.
func (s *Server) recordRoutes() {
	type oneReading struct {
		ID   string `path:"id" maxLength:"200" doc:"id or key"`
		Body NewReading
	}
	handle(s, senders(), recordOp("sensors/{id}/readings", "record-reading", "Record a reading"), func(ctx context.Context, in *oneReading) (*acceptedOut, error) {
		x, err := s.sensor(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		if err := s.meter(ctx, 1); err != nil {
			return nil, err
		}
		r, item := s.reading(x, &in.Body)
		if item != nil {
			return nil, fault.NewInvalid(*item)
		}
		return s.accept(ctx, []plant.Reading{r})
	})
	type manyReadings struct {
		Body struct {
			Readings []bulkReading `json:"readings" minItems:"1" maxItems:"10000" nullable:"false"`
		}
	}
	handle(s, senders(), recordOp("sensors/readings/bulk", "record-readings", "Record readings, all or none"), func(ctx context.Context, in *manyReadings) (*acceptedOut, error) {
		if err := s.meter(ctx, len(in.Body.Readings)); err != nil {
			return nil, err
		}
		readings := make([]plant.Reading, 0, len(in.Body.Readings))
		var bad []fault.Item
		for i := range in.Body.Readings {
			b := &in.Body.Readings[i]
			item := &fault.Item{Location: "sensor", Rule: "unknown", Message: "no sensor has this id or key"}
			if x, ok := s.Directory.Sensor(principal(ctx).Tenant, b.Sensor); ok {
				var r plant.Reading
				if r, item = s.reading(x, &b.NewReading); item == nil {
					readings = append(readings, r)
					continue
				}
			}
			item.Location = fmt.Sprintf("readings[%d].%s", i, item.Location)
			bad = append(bad, *item)
		}
		if len(bad) > 0 {
			return nil, &fault.Error{Kind: fault.Invalid, Detail: "the request breaks a rule", Items: bad[:min(len(bad), maxItems)], Total: len(bad), Rejected: len(bad)}
		}
		return s.accept(ctx, readings)
	})
}

// maxItems bounds how many faults one answer names.
const maxItems = 100

// reading makes what is recorded and holds it to the rules of intake.
func (s *Server) reading(x *directory.Sensor, in *NewReading) (plant.Reading, *fault.Item) {
	now := s.Now().UnixMilli()
	r := plant.Reading{Tenant: x.Tenant, Line: x.Line, Sensor: x.ID, TS: now, Value: in.Value, Seq: plant.NoSeq}
	if in.TS != nil {
		r.TS = int64(*in.TS)
	} else {
		r.Seq = s.arrivals.Next()
	}
	r.Quality, _ = plant.ParseQuality(in.Quality) // the schema allows only its names
	if in.Seq != nil {
		r.Seq = *in.Seq
	}
	return r, s.cfg.Bounds.Reading(&r, now)
}

// meter counts what is recorded by hand against the quotas of its tenant and
// key, as ingest counts what comes by itself.
func (s *Server) meter(ctx context.Context, items int) error {
	who := principal(ctx)
	return s.gauge.Meter(directory.Principal{Tenant: who.Tenant, KeyID: who.Subject}).Take(bodySize(ctx), items)
}

func (s *Server) accept(ctx context.Context, readings []plant.Reading) (*acceptedOut, error) {
	if err := s.Recorder.Readings(ctx, readings); err != nil {
		return nil, err
	}
	out := &acceptedOut{}
	out.Body.Accepted = len(readings)
	return out, nil
}
