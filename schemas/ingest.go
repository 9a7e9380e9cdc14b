package schemas

import "io"

// IngestReading is a reading as a producer's container file carries it: the
// sensor by id or by the tenant's own key, everything else yet to be checked.
type IngestReading struct {
	Sensor  string
	TS      int64 // Unix milliseconds
	Value   float64
	Quality string // "" when unsaid
	Seq     int64
	HasSeq  bool
}

// IngestLineEvent is a line event as a producer's container file carries it. A
// text that is unsaid is empty; a number says by its Has whether it was there.
type IngestLineEvent struct {
	ID      string // of the event, "" when unsaid
	Line    string
	TS      int64 // Unix milliseconds
	Type    string
	State   string
	Reason  string
	Product string
	Good    float64
	Scrap   float64
	Rework  float64
	Unit    string
	Seq     int64

	HasGood, HasScrap, HasRework, HasSeq bool
}

// OpenReadings opens a container file whose schema fits ingest_reading: the
// record may have any name, its fields any order and any further flat fields;
// numbers widen, timestamps may be in milliseconds, microseconds (rounded down)
// or nanoseconds, a sensor may be a string or a UUID of 16 bytes, a quality a
// string or an enum.
func OpenReadings(r io.Reader, lim ContainerLimits) (*Container[IngestReading], error) {
	return openContainer(r, lim, []field{
		{"sensor", wire.id, true},
		{"ts", wire.integer, true},
		{"value", wire.number, true},
		{"quality", wire.word, false},
		{"seq", wire.integer, false},
	}, setReading)
}

func setReading(r *IngestReading, field int, d *datum) {
	switch field {
	case 0:
		r.Sensor = d.text
	case 1:
		r.TS = d.long
	case 2:
		r.Value = d.double
	case 3:
		r.Quality = d.text
	case 4:
		r.Seq, r.HasSeq = d.long, d.kind == kindLong
	}
}

// OpenLineEvents opens a container file whose schema fits ingest_line_event, in
// the sense of OpenReadings.
func OpenLineEvents(r io.Reader, lim ContainerLimits) (*Container[IngestLineEvent], error) {
	return openContainer(r, lim, []field{
		{"line", wire.id, true},
		{"ts", wire.integer, true},
		{"type", wire.word, true},
		{"state", wire.word, false},
		{"reason", wire.word, false},
		{"product", wire.word, false},
		{"good", wire.number, false},
		{"scrap", wire.number, false},
		{"rework", wire.number, false},
		{"unit", wire.word, false},
		{"id", wire.id, false},
		{"seq", wire.integer, false},
	}, setLineEvent)
}

func setLineEvent(e *IngestLineEvent, field int, d *datum) {
	switch field {
	case 0:
		e.Line = d.text
	case 1:
		e.TS = d.long
	case 2:
		e.Type = d.text
	case 3:
		e.State = d.text
	case 4:
		e.Reason = d.text
	case 5:
		e.Product = d.text
	case 6:
		e.Good, e.HasGood = d.double, d.kind != kindNull
	case 7:
		e.Scrap, e.HasScrap = d.double, d.kind != kindNull
	case 8:
		e.Rework, e.HasRework = d.double, d.kind != kindNull
	case 9:
		e.Unit = d.text
	case 10:
		e.ID = d.text
	case 11:
		e.Seq, e.HasSeq = d.long, d.kind == kindLong
	}
}
