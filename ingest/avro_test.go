package ingest

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/hamba/avro/v2/ocf"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// oneLine is a directory of one sensor and one line.
type oneLine struct {
	sensor directory.Sensor
	line   directory.Line
}

func (o *oneLine) SensorBytes(_ plant.ID, key []byte) (*directory.Sensor, bool) {
	return &o.sensor, string(key) == o.sensor.Key || string(key) == o.sensor.ID.String()
}

func (o *oneLine) LineBytes(_ plant.ID, key []byte) (*directory.Line, bool) {
	return &o.line, string(key) == o.line.Key
}

func avroBatch(t *testing.T, kind Kind, change func(*Limits)) (*Batch, *oneLine, *schemas.Codec) {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	line := plant.NewID()
	dir := &oneLine{directory.Sensor{ID: plant.NewID(), Line: line, Key: "temp"}, directory.Line{ID: line, Key: "bottling", Unit: "bottle"}}
	limits := DefaultLimits()
	if change != nil {
		change(&limits)
	}
	b := NewBatch(dir, codec, limits)
	b.Reset(plant.NewID(), 1_764_000_000_000, kind.List())
	return b, dir, codec
}

// file writes a container file under a published schema.
func file(t *testing.T, schema schemas.Name, records ...map[string]any) []byte {
	t.Helper()
	all, err := schemas.Versions(schema)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	enc, err := ocf.NewEncoder(all[len(all)-1], &b, ocf.WithCodec(ocf.Deflate))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func reading(sensor string, ts int64, value float64) map[string]any {
	return map[string]any{"sensor": sensor, "ts": ts, "value": value, "quality": nil, "seq": nil}
}

func TestAvroReadings(t *testing.T) {
	b, dir, codec := avroBatch(t, Readings, nil)
	full := reading(dir.sensor.ID.String(), b.now, 4.5)
	full["quality"], full["seq"] = map[string]any{"string": "bad"}, map[string]any{"long": int64(7)}
	wrong := reading("temp", b.now, math.NaN())
	wrong["quality"], wrong["seq"] = map[string]any{"string": "fine"}, map[string]any{"long": int64(-7)}
	err := b.ReadReadingsAvro(file(t, "ingest_reading", reading("temp", b.now-5, -3), full, wrong,
		reading("nobody", b.now, 1), reading("", b.now, 1), reading("temp", b.now+1e9, 1)))
	if err != nil {
		t.Fatal(err)
	}
	want := []plant.Reading{
		{Tenant: b.tenant, Line: dir.line.ID, Sensor: dir.sensor.ID, TS: b.now - 5, Value: -3, Seq: plant.NoSeq},
		{Tenant: b.tenant, Line: dir.line.ID, Sensor: dir.sensor.ID, TS: b.now, Value: 4.5, Quality: plant.QualityBad, Seq: 7},
	}
	if b.Len() != len(want) || b.Bad() != 4 {
		t.Fatalf("%d good, %d bad, want 2 and 4", b.Len(), b.Bad())
	}
	for i, w := range want {
		key, value := b.Record(i)
		var got plant.Reading
		if err := codec.DecodeReading(value, &got); err != nil || got != w || *key != dir.line.ID {
			t.Errorf("record %d: %+v under %s (%v), want %+v", i, got, key, err, w)
		}
	}
	checkItems(t, b, "readings[2].value not_finite", "readings[2].quality unknown", "readings[2].seq range",
		"readings[3].sensor unknown", "readings[4].sensor required", "readings[5].ts in_future")
}

func checkItems(t *testing.T, b *Batch, want ...string) {
	t.Helper()
	var got []string
	for _, e := range b.Errors() {
		got = append(got, e.Location+" "+e.Rule)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("refused\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func event(fields map[string]any) map[string]any {
	out := map[string]any{}
	for _, f := range []string{"state", "reason", "product", "good", "scrap", "rework", "unit", "id", "seq"} {
		out[f] = nil
	}
	for k, v := range fields {
		switch v := v.(type) {
		case string:
			if k != "line" && k != "type" {
				out[k] = map[string]any{"string": v}
				continue
			}
			out[k] = v
		case float64:
			out[k] = map[string]any{"double": v}
		default:
			out[k] = v
		}
	}
	return out
}

func TestAvroEvents(t *testing.T) {
	b, dir, codec := avroBatch(t, Events, nil)
	id := plant.NewID()
	err := b.ReadEventsAvro(file(t, "ingest_line_event",
		event(map[string]any{"line": "bottling", "ts": b.now, "type": "count", "good": 5.0, "id": id.String()}),
		event(map[string]any{"line": "bottling", "ts": b.now, "type": "state", "state": "HELD", "reason": "jam", "good": 0.0}),
		event(map[string]any{"line": "bottling", "ts": b.now, "type": "state", "state": "DANCING", "good": 1.0, "id": "x"}),
		event(map[string]any{"line": "bottling", "ts": b.now, "type": "count", "reason": strings.Repeat("x", 201)}),
		event(map[string]any{"line": "nobody", "ts": b.now, "type": "count", "scrap": 1.0}),
		event(map[string]any{"line": "", "ts": b.now, "type": "", "rework": -1.0}),
		event(map[string]any{"line": "bottling", "ts": b.now, "type": "count", "scrap": math.Inf(1)}),
		event(map[string]any{"line": "bottling", "ts": b.now, "type": "count", "good": 1e13}),
	))
	if err != nil {
		t.Fatal(err)
	}
	if b.Len() != 2 || b.Bad() != 6 {
		t.Fatalf("%d good, %d bad, want 2 and 6: %+v", b.Len(), b.Bad(), b.Errors())
	}
	for i, want := range []plant.LineEvent{
		{Type: plant.EventCount, Good: 5, Unit: "bottle", ID: id},
		{Type: plant.EventState, State: plant.StateHeld, Reason: "jam"},
	} {
		want.Tenant, want.Line, want.TS, want.Seq = b.tenant, dir.line.ID, b.now, plant.NoSeq
		if want.ID.IsZero() {
			want.ID = plant.EventID(&want)
		}
		_, value := b.Record(i)
		var got plant.LineEvent
		if err := codec.DecodeLineEvent(value, &got); err != nil || got != want {
			t.Errorf("record %d: %+v (%v), want %+v", i, got, err, want)
		}
	}
	checkItems(t, b, "events[2].state unknown", "events[2].id invalid", "events[2].good not_allowed",
		"events[3].reason too_long", "events[3].good required", "events[3].reason not_allowed", "events[4].line unknown",
		"events[5].rework negative", "events[5].line required", "events[5].type required", "events[6].scrap not_finite", "events[7].good range")
}

// TestAvroFaults: what is wrong with a file as a whole, and as what it is told.
func TestAvroFaults(t *testing.T) {
	now := int64(1_764_000_000_000)
	good := file(t, "ingest_reading", reading("temp", now, 1), reading("temp", now, 2), reading("temp", now, 3))
	for name, tc := range map[string]struct {
		body   []byte
		change func(*Limits)
		want   fault.Kind
	}{
		"not avro":      {[]byte(`{"readings":[]}`), nil, fault.BadRequest},
		"cut":           {good[:len(good)-3], nil, fault.BadRequest},
		"another kind":  {file(t, "ingest_line_event"), nil, fault.Invalid},
		"too many":      {good, func(l *Limits) { l.Items = 2 }, fault.TooLarge},
		"too large":     {good, func(l *Limits) { l.Decoded = 10 }, fault.TooLarge},
		"within limits": {good, func(l *Limits) { l.Items = 3 }, fault.Internal},
	} {
		b, _, _ := avroBatch(t, Readings, tc.change)
		err := b.ReadReadingsAvro(tc.body)
		if tc.want == fault.Internal {
			if err != nil || b.Len() != 3 {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || fault.KindOf(err) != tc.want {
			t.Errorf("%s: %v of kind %v, want %v", name, err, fault.KindOf(err), tc.want)
		}
	}
}
