package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	hamba "github.com/hamba/avro/v2"
	hambaocf "github.com/hamba/avro/v2/ocf"
	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/plant"
)

// container writes records into a container file with twmb/avro.
func container(t testing.TB, codec, schema string, records ...any) []byte {
	t.Helper()
	s, err := avro.Parse(schema)
	if err != nil {
		t.Fatal(err)
	}
	opts := []ocf.WriterOpt{ocf.WithBlockCount(100), ocf.WithSyncMarker([16]byte{1, 2, 3})}
	switch codec {
	case "deflate":
		opts = append(opts, ocf.WithCodec(ocf.DeflateCodec(6)))
	case "snappy":
		opts = append(opts, ocf.WithCodec(ocf.SnappyCodec()))
	case "zstandard":
		opts = append(opts, ocf.WithCodec(ocf.MustZstdCodec(nil, nil)))
	}
	var b bytes.Buffer
	w, err := ocf.NewWriter(&b, s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := w.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readings reads a whole file.
func readings(b []byte, lim ContainerLimits) (out []IngestReading, err error) {
	c, err := OpenReadings(bytes.NewReader(b), lim)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for {
		var r IngestReading
		if err := c.Next(&r); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return out, err
		}
		out = append(out, r)
	}
}

type fileReading struct {
	Sensor  string  `avro:"sensor"`
	TS      int64   `avro:"ts"`
	Value   float64 `avro:"value"`
	Quality *string `avro:"quality"`
	Seq     *int64  `avro:"seq"`
}

func newest(t testing.TB, name string) string {
	t.Helper()
	b, err := published.ReadFile("avsc/" + name + "/v1.avsc")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func someReadings(n int) (wrote []any, want []IngestReading) {
	bad := "bad"
	for i := range n {
		seq := int64(i)
		f := fileReading{Sensor: fmt.Sprintf("oven-%d/täst", i%7), TS: 1_700_000_000_000 + seq, Value: float64(i) / 3}
		w := IngestReading{Sensor: f.Sensor, TS: f.TS, Value: f.Value}
		if i%2 == 0 {
			f.Quality, f.Seq = &bad, &seq
			w.Quality, w.Seq, w.HasSeq = bad, seq, true
		}
		wrote, want = append(wrote, f), append(want, w)
	}
	return wrote, want
}

// TestContainerOfBothImplementations: files of either library under each codec
// are read to the values written.
func TestContainerOfBothImplementations(t *testing.T) {
	wrote, want := someReadings(1000)
	for codec, other := range map[string]hambaocf.CodecName{
		"null": hambaocf.Null, "deflate": hambaocf.Deflate, "snappy": hambaocf.Snappy, "zstandard": hambaocf.ZStandard,
	} {
		t.Run(codec, func(t *testing.T) {
			var b bytes.Buffer
			enc, err := hambaocf.NewEncoder(newest(t, "ingest_reading"), &b, hambaocf.WithCodec(other), hambaocf.WithBlockLength(64))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range wrote {
				if err := enc.Encode(r); err != nil {
					t.Fatal(err)
				}
			}
			if err := enc.Close(); err != nil {
				t.Fatal(err)
			}
			for name, file := range map[string][]byte{"hamba": b.Bytes(), "twmb": container(t, codec, newest(t, "ingest_reading"), wrote...)} {
				got, err := readings(file, DefaultContainerLimits())
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %d records (%v), want %d", name, len(got), err, len(want))
				}
			}
		})
	}
}

func TestContainerOfLineEvents(t *testing.T) {
	text := func(s string) *string { return &s }
	good, seq := 5.5, int64(3)
	file := container(t, "deflate", newest(t, "ingest_line_event"), map[string]any{
		"line": "bottling", "ts": int64(7), "type": "count", "good": &good, "unit": text("bottle"), "seq": &seq,
	}, map[string]any{"line": "bottling", "ts": int64(8), "type": "state", "state": text("HELD"), "reason": text("jam"), "product": text("cola"), "id": text("x")})
	c, err := OpenLineEvents(bytes.NewReader(file), DefaultContainerLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, want := range []IngestLineEvent{
		{Line: "bottling", TS: 7, Type: "count", Good: 5.5, HasGood: true, Unit: "bottle", Seq: 3, HasSeq: true},
		{Line: "bottling", TS: 8, Type: "state", State: "HELD", Reason: "jam", Product: "cola", ID: "x"},
	} {
		var got IngestLineEvent
		if err := c.Next(&got); err != nil || got != want {
			t.Errorf("got %+v (%v), want %+v", got, err, want)
		}
	}
	if err := c.Next(&IngestLineEvent{}); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
}

// TestWriterSchemas: schemas of producers that are not ours.
func TestWriterSchemas(t *testing.T) {
	id := plant.NewID()
	for name, tc := range map[string]struct {
		fields string
		record map[string]any
		want   IngestReading
	}{
		"order and extra fields": {
			`{"name":"plant","type":"string"},{"name":"value","type":"double"},{"name":"tags","type":{"type":"map","values":"string"}},
			 {"name":"ts","type":"long"},{"name":"raw","type":{"type":"array","items":"int"}},{"name":"sensor","type":"string"},{"name":"ok","type":"boolean"}`,
			map[string]any{"plant": "x", "value": 4.5, "tags": map[string]string{"a": "b"}, "ts": int64(9), "raw": []int32{1, 2}, "sensor": "s", "ok": true},
			IngestReading{Sensor: "s", TS: 9, Value: 4.5},
		},
		"narrow numbers": {
			`{"name":"sensor","type":"string"},{"name":"ts","type":"int"},{"name":"value","type":["float","int"]},{"name":"seq","type":"int"}`,
			map[string]any{"sensor": "s", "ts": int32(9), "value": int32(-3), "seq": int32(4)},
			IngestReading{Sensor: "s", TS: 9, Value: -3, Seq: 4, HasSeq: true},
		},
		"uuid of 16 bytes": {
			`{"name":"sensor","type":{"type":"fixed","name":"U","size":16}},{"name":"also","type":"U"},{"name":"ts","type":"long"},{"name":"value","type":"float"}`,
			map[string]any{"sensor": [16]byte(id), "also": [16]byte{}, "ts": int64(9), "value": float32(0.5)},
			IngestReading{Sensor: id.String(), TS: 9, Value: 0.5},
		},
		"microseconds before 1970": {
			`{"name":"sensor","type":"string"},{"name":"ts","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"value","type":"long"}`,
			map[string]any{"sensor": "s", "ts": int64(-1), "value": int64(1 << 53)},
			IngestReading{Sensor: "s", TS: -1, Value: 1 << 53},
		},
		"quality as an enum": {
			`{"name":"sensor","type":"string"},{"name":"ts","type":{"type":"long","logicalType":"timestamp-nanos"}},{"name":"value","type":"double"},
			 {"name":"quality","type":["null",{"type":"enum","name":"Q","symbols":["good","bad"]}]}`,
			map[string]any{"sensor": "s", "ts": int64(1_999_999), "value": 1.0, "quality": "bad"},
			IngestReading{Sensor: "s", TS: 1, Value: 1, Quality: "bad"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := container(t, "null", `{"type":"record","name":"acme.Anything","fields":[`+tc.fields+`]}`, tc.record)
			got, err := readings(file, DefaultContainerLimits())
			if err != nil || len(got) != 1 || got[0] != tc.want {
				t.Errorf("got %+v (%v), want %+v", got, err, tc.want)
			}
		})
	}
}

// TestManyBlocksStayUnderTheTotal: blocks that each keep to the limit don't
// together pass the file's.
func TestManyBlocksStayUnderTheTotal(t *testing.T) {
	lim := DefaultContainerLimits()
	lim.DecodedBytes = 10_000
	wrote, _ := someReadings(1000)
	got, err := readings(container(t, "deflate", newest(t, "ingest_reading"), wrote...), lim)
	if !errors.Is(err, ErrTooLarge) || len(got) == 0 {
		t.Errorf("%d records, %v", len(got), err)
	}
}

// TestCutContainer: a file cut anywhere is an error, or ends at a block's end
// with what stood before.
func TestCutContainer(t *testing.T) {
	wrote, want := someReadings(250)
	file := container(t, "null", newest(t, "ingest_reading"), wrote...)
	clean := 0
	for n := range file {
		got, err := readings(file[:n], DefaultContainerLimits())
		if err == nil {
			clean++
			if len(got)%100 != 0 {
				t.Fatalf("cut at %d: %d records and no error", n, len(got))
			}
		}
		if !reflect.DeepEqual(got, want[:len(got)]) && len(got) > 0 {
			t.Fatalf("cut at %d: wrong records", n)
		}
	}
	if clean != 3 { // after the header and the first two of three blocks
		t.Errorf("%d cuts passed as whole files, want 3", clean)
	}
}

// TestFlatReaderAgreesWithResolution: whatever schema of the flat kind a
// producer writes under, the library's resolution and ours read the same.
func TestFlatReaderAgreesWithResolution(t *testing.T) {
	reader, err := avro.Parse(newest(t, "ingest_reading"))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.SampledFrom([]string{`"int"`, `"long"`, `"float"`, `"double"`})
		fields := rapid.Permutation([]string{
			`{"name":"sensor","type":"string"}`,
			`{"name":"ts","type":` + rapid.SampledFrom([]string{`"int"`, `"long"`, `{"type":"long","logicalType":"timestamp-millis"}`}).Draw(t, "ts") + `}`,
			`{"name":"value","type":` + number.Draw(t, "value") + `}`,
			`{"name":"seq","type":` + rapid.SampledFrom([]string{`"int"`, `["null","long"]`, `["int","null"]`}).Draw(t, "seq") + `}`,
			`{"name":"x1","type":` + rapid.SampledFrom([]string{`"bytes"`, `["null","boolean","double"]`, `{"type":"map","values":"long"}`, `{"type":"array","items":"string"}`}).Draw(t, "x1") + `}`,
		}).Draw(t, "fields")
		text := `{"type":"record","name":"IngestReading","namespace":"com.foodflow.v1","fields":[` + strings.Join(fields, ",") + `]}`
		other := hamba.MustParse(text)
		writer := avro.MustParse(text)
		resolved, err := avro.Resolve(writer, reader)
		if err != nil {
			t.Fatal(err)
		}
		body := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "body")
		if rapid.Bool().Draw(t, "valid") {
			if body, err = hamba.Marshal(other, drawRecord(t, other)); err != nil {
				t.Fatal(err)
			}
		}
		var want fileReading
		rest, wantErr := resolved.Decode(body, &want)
		ok := wantErr == nil && len(rest) == 0
		got, err := readings(rawContainer(text, "null", block(1, int64(len(body)), body...)), DefaultContainerLimits())
		if (err == nil) != ok && !(ok && lenient(writer, body, want.Sensor)) {
			t.Fatalf("%s: ours says %v, the library %v and %d left", text, err, wantErr, len(rest))
		}
		if err != nil {
			return
		}
		w := IngestReading{Sensor: want.Sensor, TS: want.TS, Value: want.Value}
		if want.Seq != nil {
			w.Seq, w.HasSeq = *want.Seq, true
		}
		if got[0] != w && !(math.IsNaN(w.Value) && math.IsNaN(got[0].Value)) {
			t.Fatalf("read %+v, the library %+v", got[0], w)
		}
	})
}

// lenient says that a body which the library reads is one that Avro does not
// allow, so that ours may refuse it: the library takes any bytes for a string,
// and any byte but 0 for true. Such a body is not what it writes itself.
func lenient(s *avro.Schema, body []byte, sensor string) bool {
	var v any
	if _, err := s.Decode(body, &v); err != nil {
		return false
	}
	again, err := s.Encode(v)
	return !utf8.ValidString(sensor) || err != nil || !bytes.Equal(again, body)
}

// drawRecord draws a value for each field of a schema.
func drawRecord(t *rapid.T, s hamba.Schema) map[string]any {
	out := map[string]any{}
	for _, f := range s.(*hamba.RecordSchema).Fields() {
		out[f.Name()] = drawValue(t, f.Type(), f.Name())
	}
	return out
}

func drawValue(t *rapid.T, s hamba.Schema, label string) any {
	switch s.Type() {
	case hamba.Int:
		return int(rapid.Int32().Draw(t, label))
	case hamba.Long:
		return rapid.Int64().Draw(t, label)
	case hamba.Float:
		return rapid.Float32().Draw(t, label)
	case hamba.Double:
		return rapid.Float64().Draw(t, label)
	case hamba.Fixed:
		return [16]byte(drawID(t, label))
	case hamba.Enum:
		return rapid.SampledFrom(s.(*hamba.EnumSchema).Symbols()).Draw(t, label)
	case hamba.Ref:
		return drawValue(t, s.(*hamba.RefSchema).Schema(), label)
	case hamba.Boolean:
		return rapid.Bool().Draw(t, label)
	case hamba.String:
		return rapid.String().Draw(t, label)
	case hamba.Bytes:
		return rapid.SliceOf(rapid.Byte()).Draw(t, label)
	case hamba.Map:
		return rapid.MapOf(rapid.String(), rapid.Int64()).Draw(t, label)
	case hamba.Array:
		return rapid.SliceOf(rapid.String()).Draw(t, label)
	case hamba.Union:
		branch := rapid.SampledFrom(s.(*hamba.UnionSchema).Types()).Draw(t, label+" branch")
		if branch.Type() == hamba.Null {
			return nil
		}
		return map[string]any{string(branch.Type()): drawValue(t, branch, label)}
	}
	t.Fatalf("no values of type %s", s.Type())
	return nil
}

func FuzzContainer(f *testing.F) {
	wrote, _ := someReadings(3)
	for _, codec := range []string{"null", "deflate", "snappy", "zstandard"} {
		f.Add(container(f, codec, newest(f, "ingest_reading"), wrote...))
	}
	f.Add(rawContainer(withField(`{"name":"r","type":{"type":"map","values":["int","string"]}}`), "null", block(1, 14, 2, 's', 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0)))
	lim := ContainerLimits{HeaderBytes: 8 << 10, BlockBytes: 64 << 10, DecodedBytes: 256 << 10}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readings(b, lim)
		if err == nil && len(got) > len(b)*int(lim.BlockBytes) {
			t.Fatal("records out of nothing")
		}
		known := []error{nil, ErrContainer, ErrContainerSchema, ErrTooLarge, ErrBody}
		for _, k := range known {
			if errors.Is(err, k) {
				return
			}
		}
		t.Fatalf("an error of no known kind: %v", err)
	})
}

func BenchmarkContainer(b *testing.B) {
	wrote, _ := someReadings(1000)
	for _, codec := range []string{"null", "snappy", "zstandard", "deflate"} {
		file := container(b, codec, newest(b, "ingest_reading"), wrote...)
		b.Run(codec, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c, err := OpenReadings(bytes.NewReader(file), DefaultContainerLimits())
				if err != nil {
					b.Fatal(err)
				}
				var r IngestReading
				for err = c.Next(&r); err == nil; err = c.Next(&r) {
				}
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
				c.Close()
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "readings/s")
		})
	}
}
