package live

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// The kinds of messages. Hello is the first one of a stream, Reset says that
// something since the id the client named can't be had.
const (
	KindAnomaly = "anomaly"
	KindOEE     = "oee"
	KindEvent   = "event"
	KindAlarm   = "alarm"
	KindReading = "reading"
	KindHello   = "hello"
	KindReset   = "reset"
	KindBye     = "bye"
)

// Kinds lists those that a listener may choose.
func Kinds() []string { return []string{KindAnomaly, KindOEE, KindEvent, KindAlarm, KindReading} }

// Message is what a client gets.
type Message struct {
	ID   string          `json:"id,omitempty" doc:"resumes the stream behind this message; readings have none"`
	Kind string          `json:"kind" enum:"anomaly,oee,event,alarm,reading,hello,reset,bye"`
	Data json.RawMessage `json:"data" doc:"by kind: Anomaly, OEEPart, Event (also of alarms), Reading; of hello, reset and bye an object that says why"`

	tenant, line, sensor plant.ID
	aggregate            string // of events: what kind of thing it is of
}

// Decoder reads records; schemas.Codec is one.
type Decoder interface {
	DecodeAnomaly(frame []byte, a *plant.Anomaly) error
	DecodeOEEPart(frame []byte, p *plant.OEEPart) error
	DecodeDomainEvent(frame []byte, e *schemas.DomainEvent) error
	DecodeReading(frame []byte, r *plant.Reading) error
}

// Anomaly is the data of a finding; ended marks the end of a limit's.
type Anomaly struct {
	ID        plant.ID  `json:"id"`
	SensorID  plant.ID  `json:"sensor_id"`
	SensorKey string    `json:"sensor_key,omitempty"`
	LineID    *plant.ID `json:"line_id,omitempty"`
	Kind      string    `json:"kind"`
	TS        string    `json:"ts"`
	Since     string    `json:"since"`
	Value     float64   `json:"value"`
	Expected  float64   `json:"expected"`
	Unit      string    `json:"unit,omitempty"`
	Score     float32   `json:"score"`
	Ended     bool      `json:"ended,omitempty"`
}

// OEEPart is the data of a change of a line's minute.
type OEEPart struct {
	LineID        plant.ID         `json:"line_id"`
	Minute        string           `json:"minute"`
	Product       string           `json:"product,omitempty"`
	Unit          string           `json:"unit,omitempty"`
	Revision      uint32           `json:"revision"`
	Policy        uint32           `json:"policy"`
	ClassesMS     map[string]int64 `json:"classes_ms"`
	PlannedBusyMS int64            `json:"planned_busy_ms"`
	RunMS         int64            `json:"run_ms"`
	IdealTotalMS  float64          `json:"ideal_total_ms"`
	IdealGoodMS   float64          `json:"ideal_good_ms"`
	Total         float64          `json:"total"`
	Good          float64          `json:"good"`
	Scrap         float64          `json:"scrap"`
	StartupScrap  float64          `json:"startup_scrap"`
	Rework        float64          `json:"rework"`
}

// Event is the data of a domain event, of alarms too.
type Event struct {
	ID            plant.ID        `json:"id"`
	Type          string          `json:"type"`
	AggregateType string          `json:"aggregate_type"`
	AggregateID   plant.ID        `json:"aggregate_id"`
	Seq           int64           `json:"seq"`
	TS            string          `json:"ts"`
	Actor         string          `json:"actor"`
	Data          json.RawMessage `json:"data"`
}

// Reading is the data of a sampled reading.
type Reading struct {
	SensorID  plant.ID `json:"sensor_id"`
	SensorKey string   `json:"sensor_key,omitempty"`
	TS        string   `json:"ts"`
	Value     float64  `json:"value"`
	Quality   string   `json:"quality"`
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// draft is a record decoded as far as to know whom it concerns; shape makes its
// data, once, and only if someone wants it.
type draft struct {
	Message
	shape func() any
}

// decode reads a record.
func decode(dec Decoder, dir *directory.Store, e *broker.Entry) (d draft, err error) {
	switch e.Topic {
	case broker.TopicAnomalies:
		a := new(plant.Anomaly)
		if err := dec.DecodeAnomaly(e.Value, a); err != nil {
			return d, err
		}
		d.Message = Message{Kind: KindAnomaly, tenant: a.Tenant, line: a.Line, sensor: a.Sensor}
		d.shape = func() any { return anomaly(dir, a) }
	case broker.TopicOEE:
		p := new(plant.OEEPart)
		if err := dec.DecodeOEEPart(e.Value, p); err != nil {
			return d, err
		}
		d.Message = Message{Kind: KindOEE, tenant: p.Tenant, line: p.Line}
		d.shape = func() any { return part(p) }
	case broker.TopicEvents:
		v := new(schemas.DomainEvent)
		if err := dec.DecodeDomainEvent(e.Value, v); err != nil {
			return d, err
		}
		d.Message = Message{Kind: KindEvent, tenant: v.Tenant, line: lineOf(v), aggregate: v.AggregateType}
		if v.AggregateType == "alarm" {
			d.Kind = KindAlarm
		}
		d.shape = func() any {
			return Event{v.ID, v.Type, v.AggregateType, v.Aggregate, v.Seq, stamp(v.TS), v.Actor, json.RawMessage(v.Data)}
		}
	case broker.TopicReadings:
		r := new(plant.Reading)
		if err := dec.DecodeReading(e.Value, r); err != nil {
			return d, err
		}
		d.Message = Message{Kind: KindReading, tenant: r.Tenant, line: r.Line, sensor: r.Sensor}
		d.shape = func() any {
			out := Reading{SensorID: r.Sensor, TS: stamp(r.TS), Value: r.Value, Quality: r.Quality.String()}
			if x, ok := dir.SensorByID(r.Sensor); ok && x.Tenant == r.Tenant {
				out.SensorKey = x.Key
			}
			return out
		}
	default:
		return d, fmt.Errorf("topic %s is not listened to", e.Topic)
	}
	return d, nil
}

// lineOf gives the line that a domain event concerns; zero: none that it names.
func lineOf(v *schemas.DomainEvent) plant.ID {
	if v.AggregateType == directory.KindLine {
		return v.Aggregate
	}
	var of struct {
		Line *plant.ID `json:"line_id"`
	}
	if json.Unmarshal([]byte(v.Data), &of) != nil || of.Line == nil {
		return plant.ID{}
	}
	return *of.Line
}

func anomaly(dir *directory.Store, a *plant.Anomaly) Anomaly {
	out := Anomaly{
		ID: a.ID, SensorID: a.Sensor, Kind: a.Kind.String(), TS: stamp(a.TS), Since: stamp(a.Since),
		Value: a.Value, Expected: a.Expected, Score: a.Score, Ended: a.Ended,
	}
	if !a.Line.IsZero() {
		out.LineID = &a.Line
	}
	if x, ok := dir.SensorByID(a.Sensor); ok && x.Tenant == a.Tenant {
		out.SensorKey, out.Unit = x.Key, x.Unit
	}
	return out
}

func part(p *plant.OEEPart) OEEPart {
	out := OEEPart{
		LineID: p.Line, Minute: stamp(p.Minute), Product: p.Product, Unit: p.Unit, Revision: p.Revision, Policy: p.Policy, ClassesMS: map[string]int64{},
		PlannedBusyMS: p.PlannedBusyMS, RunMS: p.RunMS, IdealTotalMS: p.IdealTotalMS, IdealGoodMS: p.IdealGoodMS,
		Total: p.Total, Good: p.Good, Scrap: p.Scrap, StartupScrap: p.StartupScrap, Rework: p.Rework,
	}
	for c, ms := range p.TimeMS {
		if ms != 0 {
			out.ClassesMS[plant.TimeClass(c).String()] = ms
		}
	}
	return out
}

// finish makes the data; false when it can't be shown, which a record of our own
// never is.
func (d *draft) finish() bool {
	if d.Data != nil {
		return true
	}
	b, err := json.Marshal(d.shape())
	d.Data = b
	return err == nil
}
