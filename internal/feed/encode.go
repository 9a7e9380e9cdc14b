package feed

import (
	"encoding/json"
	"strconv"

	"github.com/foodflow/foodflow/internal/plant"
)

// Reading is one value as a producer sends it.
type Reading struct {
	Sensor  string // id or the tenant's own key
	TS      int64  // Unix milliseconds
	Value   float64
	Quality plant.Quality
	Seq     int64 // plant.NoSeq: none is sent
}

// Event is a line event as a producer sends it.
type Event struct {
	Line    string
	ID      plant.ID
	TS      int64
	Type    plant.EventType
	State   plant.State
	Reason  string
	Product string
	Good    float64
	Scrap   float64
	Unit    string
}

// AppendReadings appends the body of POST /v1/readings.
func AppendReadings(b []byte, readings []Reading) []byte {
	b = append(b, `{"readings":[`...)
	for i := range readings {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(append(b, `{"sensor":`...), readings[i].Sensor), ',')
		b = readings[i].appendRest(b)
	}
	return append(b, `]}`...)
}

// appendRest appends what stands behind the sensor, up to the bracket.
func (r *Reading) appendRest(b []byte) []byte {
	b = strconv.AppendInt(append(b, `"ts":`...), r.TS, 10)
	b = strconv.AppendFloat(append(b, `,"value":`...), r.Value, 'g', -1, 64)
	if r.Quality != plant.QualityGood {
		b = appendText(append(b, `,"quality":`...), r.Quality.String())
	}
	if r.Seq >= 0 {
		b = strconv.AppendInt(append(b, `,"seq":`...), r.Seq, 10)
	}
	return append(b, '}')
}

// AppendEvents appends the body of POST /v1/line-events.
func AppendEvents(b []byte, events []Event) []byte {
	b = append(b, `{"events":[`...)
	for i := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(append(b, `{"line":`...), events[i].Line), ',')
		b = events[i].appendRest(b)
	}
	return append(b, `]}`...)
}

// appendRest appends what stands behind the line, up to the bracket.
func (e *Event) appendRest(b []byte) []byte {
	b = appendText(append(b, `"id":`...), e.ID.String())
	b = strconv.AppendInt(append(b, `,"ts":`...), e.TS, 10)
	b = appendText(append(b, `,"type":`...), e.Type.String())
	if e.Product != "" {
		b = appendText(append(b, `,"product":`...), e.Product)
	}
	if e.Type == plant.EventState {
		b = appendText(append(b, `,"state":`...), e.State.String())
		if e.Reason != "" {
			b = appendText(append(b, `,"reason":`...), e.Reason)
		}
	} else {
		b = strconv.AppendFloat(append(b, `,"good":`...), e.Good, 'g', -1, 64)
		b = strconv.AppendFloat(append(b, `,"scrap":`...), e.Scrap, 'g', -1, 64)
		if e.Unit != "" {
			b = appendText(append(b, `,"unit":`...), e.Unit)
		}
	}
	return append(b, '}')
}

func appendText(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...) // a string always marshals
	}
	return append(b, text...)
}
