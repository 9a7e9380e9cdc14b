package masterdata

import (
	"context"
	"reflect"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
)

// Sensor is one measured thing.
type Sensor struct {
	Meta
	SensorFields
	epoch int64 // see directory.Sensor
}

// SensorFields is what a user says of a sensor.
type SensorFields struct {
	LineID     *plant.ID `json:"line_id,omitempty" format:"uuid" doc:"the line it is on; none: it belongs to no line"`
	Key        string    `json:"key" minLength:"1" maxLength:"200" doc:"the plant's own name of it, unique among its sensors" example:"filler-temperature"`
	Name       string    `json:"name" minLength:"1" maxLength:"200" example:"Filler product temperature"`
	Unit       string    `json:"unit" maxLength:"32" example:"degC"`
	Kind       string    `json:"kind" maxLength:"64" doc:"what it measures" example:"temperature"`
	LL         *float64  `json:"ll,omitempty" doc:"low-low alarm limit" example:"0.5"`
	L          *float64  `json:"l,omitempty" doc:"low alarm limit" example:"1"`
	H          *float64  `json:"h,omitempty" doc:"high alarm limit" example:"7"`
	HH         *float64  `json:"hh,omitempty" doc:"high-high alarm limit" example:"9"`
	RangeMin   *float64  `json:"range_min,omitempty" doc:"least value the instrument can show" example:"-10"`
	RangeMax   *float64  `json:"range_max,omitempty" doc:"greatest value the instrument can show" example:"130"`
	Deadband   float64   `json:"deadband,omitempty" minimum:"0" doc:"how far inside a limit ends its alarm" example:"0.3"`
	OnDelayMS  int64     `json:"on_delay_ms,omitempty" minimum:"0" maximum:"86400000" doc:"how long a limit must be passed before it alarms, milliseconds" example:"5000"`
	OffDelayMS int64     `json:"off_delay_ms,omitempty" minimum:"0" maximum:"86400000" doc:"how long inside before the alarm ends, milliseconds" example:"0"`
	Detect     string    `json:"detect,omitempty" enum:"default,off" default:"default" doc:"anomaly detection"`
}

// Sensors gives the operations on sensors.
func (s *Store) Sensors() set[Sensor] {
	return set[Sensor]{s, sensorResource(), []string{"line_id", "kind"}}
}

func sensorResource() *resource[Sensor] {
	return &resource[Sensor]{
		table: "sensors", aggregate: directory.KindSensor, noun: "Sensor",
		columns: []string{"line_id", "key", "name", "unit", "kind", "limit_ll", "limit_l", "limit_h", "limit_hh", "range_min", "range_max", "deadband", "on_delay_ms", "off_delay_ms", "detect", "epoch"},
		meta:    func(x *Sensor) *Meta { return &x.Meta },
		bind: func(x *Sensor) []any {
			return []any{&x.LineID, &x.Key, &x.Name, &x.Unit, &x.Kind, &x.LL, &x.L, &x.H, &x.HH, &x.RangeMin, &x.RangeMax, &x.Deadband, &x.OnDelayMS, &x.OffDelayMS, &x.Detect, &x.epoch}
		},
		check: checkSensor, along: endAlarms, entry: sensorEntry,
	}
}

// maxDelay is the longest that an alarm can be held back.
const maxDelay = 24 * time.Hour

func checkSensor(x *Sensor) *rules {
	var r rules
	r.key("key", x.Key, 200)
	r.text("name", x.Name, 1, 200)
	r.text("unit", x.Unit, 0, plant.MaxUnit)
	r.text("kind", x.Kind, 0, 64)
	r.rising([]string{"range_min", "ll", "l", "h", "hh", "range_max"}, []*float64{x.RangeMin, x.LL, x.L, x.H, x.HH, x.RangeMax})
	r.between("deadband", x.Deadband, 0, plant.MaxValue)
	r.span("on_delay_ms", x.OnDelayMS, maxDelay)
	r.span("off_delay_ms", x.OffDelayMS, maxDelay)
	if x.Detect == "" {
		x.Detect = directory.DetectDefault
	}
	r.oneOf("detect", x.Detect, []string{directory.DetectDefault, directory.DetectOff})
	return &r
}

// endAlarms ends the alarms that the stream will say nothing more of: all, when the
// sensor leaves its line, since what is found there is another detector's; those of a
// limit that is taken off; and all when the sensor is deleted. A new epoch begins
// then, in which limits say anew what holds. So it does where a limit is moved: what
// the detector finds by it may come from a state that it rebuilds in silence.
func endAlarms(ctx context.Context, w *writing, before, after *Sensor) error {
	alarms := Alarms{r: alarmResource()}
	if after == nil {
		return alarms.end(ctx, w, before.ID, before.epoch+1, alarmKinds(), "the sensor was deleted")
	}
	kinds, why, anew := []string(nil), "the limit was taken off", false
	was := before.limits()
	for i, l := range after.limits() {
		if was[i].value != nil && l.value == nil {
			kinds = append(kinds, l.kind.String())
		}
		anew = anew || !same(reflect.ValueOf(was[i].value), reflect.ValueOf(l.value))
	}
	if at(before.LineID) != at(after.LineID) {
		kinds, why, anew = alarmKinds(), "the sensor went to another line", true
	}
	if !anew {
		return nil
	}
	after.epoch++
	return alarms.end(ctx, w, after.ID, after.epoch, kinds, why)
}

// limit is a limit, nil: none, and what its alarm is.
type limit struct {
	kind  plant.AnomalyKind
	value *float64
}

func (x *Sensor) limits() []limit {
	return []limit{
		{plant.AnomalyLimitLL, x.LL},
		{plant.AnomalyLimitL, x.L},
		{plant.AnomalyLimitH, x.H},
		{plant.AnomalyLimitHH, x.HH},
		{plant.AnomalyRange, x.RangeMin},
		{plant.AnomalyRange, x.RangeMax},
	}
}

// alarmKinds are the kinds of findings that are alarms.
func alarmKinds() (kinds []string) {
	for k := plant.AnomalyLimitLL; k.IsLimit(); k++ {
		kinds = append(kinds, k.String())
	}
	return kinds
}

// at gives an id that may be missing: zero then.
func at(id *plant.ID) plant.ID {
	if id == nil {
		return plant.ID{}
	}
	return *id
}

func sensorEntry(tenant plant.ID, x *Sensor) any {
	e := directory.Sensor{
		ID: x.ID, Tenant: tenant, Key: x.Key, Name: x.Name, Unit: x.Unit, Kind: x.Kind,
		LL: x.LL, L: x.L, H: x.H, HH: x.HH, RangeMin: x.RangeMin, RangeMax: x.RangeMax,
		Deadband: x.Deadband, OnDelayMS: x.OnDelayMS, OffDelayMS: x.OffDelayMS, Detect: x.Detect, Epoch: x.epoch,
	}
	if x.LineID != nil {
		e.Line = *x.LineID
	}
	return e
}
