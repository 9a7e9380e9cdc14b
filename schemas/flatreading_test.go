package schemas

import (
	"errors"
	"strings"
	"testing"

	hamba "github.com/hamba/avro/v2"
	"github.com/twmb/avro"
	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/plant"
)

// drawVersion draws a schema that another version of a reading might have.
func drawVersion(t *rapid.T) string {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	fields := []string{
		`{"name":"ts","type":` + pick("ts", `"long"`, `"int"`, `{"type":"long","logicalType":"timestamp-millis"}`) + `}`,
		`{"name":"value","type":` + pick("value", `"double"`, `"float"`, `"long"`, `"int"`) + `}`,
		`{"name":"quality","type":{"type":"enum","name":"Quality","symbols":` + pick("quality", `["good","uncertain","bad"]`, `["bad","good"]`, `["good","simulated","bad"]`) + `}}`,
	}
	if rapid.Bool().Draw(t, "seq") {
		fields = append(fields, `{"name":"seq","type":`+pick("seq type", `["null","long"]`, `["int","null"]`, `"long"`)+`}`)
	}
	if rapid.Bool().Draw(t, "more") {
		fields = append(fields, `{"name":"more","type":`+pick("more type", `"string"`, `["null","bytes","boolean"]`, `{"type":"map","values":"long"}`)+`}`)
	}
	// The ids stay in front: a named type is defined where it stands first.
	ids := `{"name":"tenant_id","type":{"type":"fixed","name":"UUID","size":16}},{"name":"line_id","type":"UUID"},{"name":"sensor_id","type":"UUID"},`
	return `{"type":"record","name":"Reading","namespace":"com.foodflow.v1","fields":[` + ids + strings.Join(rapid.Permutation(fields).Draw(t, "order"), ",") + `]}`
}

// TestFlatReadingAgreesWithResolution: under whatever version, and for whatever
// bytes, the quick reader and the library's resolution say the same.
func TestFlatReadingAgreesWithResolution(t *testing.T) {
	_, own, err := latest(Reading)
	if err != nil {
		t.Fatal(err)
	}
	c := codec(t)
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		text := drawVersion(t)
		flat := newFlatReading(text)
		if flat == nil {
			t.Fatalf("%s is not taken for flat", text)
		}
		resolved, err := avro.Resolve(avro.MustParse(text), own)
		if err != nil {
			t.Fatal(err)
		}
		body := rapid.SliceOfN(rapid.Byte(), 0, 90).Draw(t, "body")
		if rapid.Bool().Draw(t, "valid") {
			s := hamba.MustParse(text)
			record := drawRecord(t, s)
			if ts, ok := record["ts"].(int64); ok {
				record["ts"] = ts & (1<<43 - 1) // mostly one that the store holds
			}
			if body, err = hamba.Marshal(s, record); err != nil {
				t.Fatal(err)
			}
		}
		var got plant.Reading
		gotErr := flat.decode(body, &got)
		want, wantErr := c.resolveReading(resolved, body)
		if (gotErr == nil) != (wantErr == nil) || gotErr != nil && !errors.Is(gotErr, ErrBody) {
			t.Fatalf("%s: %v, by resolution %v", text, gotErr, wantErr)
		}
		if gotErr == nil {
			taken++
			if got != want {
				t.Fatalf("%s: read %+v, by resolution %+v", text, got, want)
			}
		}
	})
	t.Logf("%d bodies were taken", taken)
	// One that is surely taken, whatever was drawn.
	text, _, err := latest(Reading)
	if err != nil {
		t.Fatal(err)
	}
	var got plant.Reading
	want := sampleReading().(plant.Reading)
	if err := newFlatReading(text).decode(c.AppendReading(nil, &want)[frameSize:], &got); err != nil || got != want {
		t.Errorf("read %+v (%v), want %+v", got, err, want)
	}
}

// resolveReading is decodeForeignReading past the lookup.
func (c *Codec) resolveReading(s *avro.Schema, body []byte) (plant.Reading, error) {
	var w wireReading
	rest, err := s.Decode(body, &w)
	if err != nil || len(rest) > 0 {
		return plant.Reading{}, errors.Join(ErrBody, err)
	}
	q, ok := plant.ParseQuality(w.Quality)
	if !ok {
		return plant.Reading{}, ErrBody
	}
	r := plant.Reading{Tenant: w.Tenant, Line: w.Line, Sensor: w.Sensor, TS: w.TS, Value: w.Value, Quality: q, Seq: fromSeq(w.Seq)}
	return r, checkReading(&r)
}

// TestNotFlat: what the quick reader must leave to resolution.
func TestNotFlat(t *testing.T) {
	text, _, err := latest(Reading)
	if err != nil {
		t.Fatal(err)
	}
	if newFlatReading(text) == nil {
		t.Fatal("control: the newest reading is not flat")
	}
	for name, edit := range map[string][2]string{
		"a record inside":    {`"fields": [`, `"fields": [{"name":"x","type":{"type":"record","name":"X","fields":[]}},`},
		"a renamed field":    {`"name": "value"`, `"name": "reading"`},
		"a value in a union": {`"value", "type": "double"`, `"value", "type": ["null","double"]`},
		"an id in a union":   {`"line_id", "type": "UUID"`, `"line_id", "type": ["UUID"]`},
		"microseconds":       {`"timestamp-millis"`, `"timestamp-micros"`},
		"quality as text":    {`"quality", "type": {`, `"quality", "type": "string"}, {"name": "q2", "type": {`},
	} {
		changed := strings.Replace(text, edit[0], edit[1], 1)
		if changed == text {
			t.Fatalf("%s: nothing to edit", name)
		}
		if newFlatReading(changed) != nil {
			t.Errorf("%s is taken for flat", name)
		}
	}
}

// TestUnflatReading: a version that must be resolved is read all the same.
func TestUnflatReading(t *testing.T) {
	reg := &memory{}
	c, err := NewCodec(t.Context(), reg)
	if err != nil {
		t.Fatal(err)
	}
	id := reg.foreignID(t, heavier(t, `{"type":"record","name":"X","fields":[{"name":"note","type":"string"}]}`))
	rapid.Check(t, func(t *rapid.T) {
		want := drawReading(t)
		var got plant.Reading
		if err := c.DecodeReading(append(frameOf(id, c.AppendReading(nil, &want)[frameSize:]), 2, 'x'), &got); err != nil || got != want {
			t.Fatalf("read %+v (%v), want %+v", got, err, want)
		}
	})
}
