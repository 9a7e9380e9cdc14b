package schemas

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/hamba/avro/v2"
	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/plant"
)

func codec(t testing.TB) *Codec {
	t.Helper()
	c, err := NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// second decodes and encodes by the independent implementation.
func second(t testing.TB, n Name) avro.Schema {
	t.Helper()
	all, err := Versions(n)
	if err != nil {
		t.Fatal(err)
	}
	return avro.MustParse(all[len(all)-1])
}

func drawID(t *rapid.T, label string) (id plant.ID) {
	copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
	return id
}

func drawReading(t *rapid.T) plant.Reading {
	return plant.Reading{
		Tenant: drawID(t, "tenant"), Line: drawID(t, "line"), Sensor: drawID(t, "sensor"),
		TS: rapid.Int64Range(0, maxTS).Draw(t, "ts"), Value: rapid.Float64().Draw(t, "value"),
		Quality: plant.Quality(rapid.IntRange(0, 2).Draw(t, "quality")), Seq: rapid.Int64Range(-1, math.MaxInt64).Draw(t, "seq"),
	}
}

func drawLineEvent(t *rapid.T) plant.LineEvent {
	count := rapid.Float64Range(0, 1e12)
	return plant.LineEvent{
		Tenant: drawID(t, "tenant"), Line: drawID(t, "line"), ID: drawID(t, "id"), TS: rapid.Int64Range(0, maxTS).Draw(t, "ts"),
		Type: plant.EventType(rapid.IntRange(0, 1).Draw(t, "type")), State: plant.State(rapid.IntRange(0, 23).Draw(t, "state")),
		Reason: rapid.StringN(0, 40, plant.MaxReason).Draw(t, "reason"), Product: rapid.StringN(0, 20, plant.MaxProduct).Draw(t, "product"),
		Good: count.Draw(t, "good"), Scrap: count.Draw(t, "scrap"), Rework: count.Draw(t, "rework"),
		Unit: rapid.StringN(0, 8, plant.MaxUnit).Draw(t, "unit"), Seq: rapid.Int64Range(-1, math.MaxInt64).Draw(t, "seq"),
	}
}

// TestReadingAgreesWithSecondImplementation: what we write by hand the other
// implementation reads to the same values, and the other way round.
func TestReadingAgreesWithSecondImplementation(t *testing.T) {
	c, other := codec(t), second(t, Reading)
	rapid.Check(t, func(t *rapid.T) {
		r := drawReading(t)
		frame := c.AppendReading(nil, &r)
		var w wireReading
		if err := avro.Unmarshal(other, frame[frameSize:], &w); err != nil {
			t.Fatal(err)
		}
		want := wireReading{r.Tenant, r.Line, r.Sensor, r.TS, r.Value, r.Quality.String(), toSeq(r.Seq)}
		if !reflect.DeepEqual(w, want) {
			t.Fatalf("second implementation read %+v, want %+v", w, want)
		}
		body, err := avro.Marshal(other, want)
		if err != nil {
			t.Fatal(err)
		}
		var got plant.Reading
		if err := c.DecodeReading(append(frame[:frameSize:frameSize], body...), &got); err != nil || got != r {
			t.Fatalf("read %+v (%v), want %+v", got, err, r)
		}
	})
}

func TestLineEventAgreesWithSecondImplementation(t *testing.T) {
	c, other := codec(t), second(t, LineEvent)
	rapid.Check(t, func(t *rapid.T) {
		e := drawLineEvent(t)
		frame := c.AppendLineEvent(nil, &e)
		var w wireLineEvent
		if err := avro.Unmarshal(other, frame[frameSize:], &w); err != nil {
			t.Fatal(err)
		}
		body, err := avro.Marshal(other, w)
		if err != nil {
			t.Fatal(err)
		}
		var got plant.LineEvent
		if err := c.DecodeLineEvent(append(frame[:frameSize:frameSize], body...), &got); err != nil || got != e {
			t.Fatalf("read %+v (%v), want %+v", got, err, e)
		}
	})
}

// TestOthersAgreeWithSecondImplementation covers the records that go through
// the reflecting library.
func TestOthersAgreeWithSecondImplementation(t *testing.T) {
	c := codec(t)
	key := []byte("k")
	part := plant.OEEPart{Tenant: plant.NewID(), Line: plant.NewID(), Minute: 60_000, Product: "p", Unit: "bottle", Revision: 2, Good: -3, IdealGoodMS: 1.5, Policy: 1}
	part.TimeMS[plant.ClassRunning] = 60_000
	a := plant.Anomaly{ID: plant.NewID(), Tenant: plant.NewID(), Sensor: plant.NewID(), Kind: plant.AnomalyLimitH, TS: 5, Since: 4, Value: 3, Expected: 2, Score: .5, Partition: 1, Offset: 9}
	d := DeadLetter{ID: plant.NewID(), Topic: "t", Partition: 1, Offset: 2, TS: 3, Key: &key, Headers: []Header{{"h", []byte("v")}}, Reason: "frame", FailedAt: 4}
	ev := DomainEvent{ID: plant.NewID(), Type: "BatchStarted", Tenant: plant.NewID(), AggregateType: "batch", Aggregate: plant.NewID(), Seq: 1, TS: 2, Actor: "x", Data: "{}"}
	en := DirectoryEntry{Kind: "line", Tenant: plant.NewID(), ID: plant.NewID(), Version: 3, Data: "{}"}
	for _, tc := range []struct {
		name   Name
		encode func() ([]byte, error)
		decode func([]byte) (any, error)
		wire   any
		want   any
	}{
		{Anomaly, func() ([]byte, error) { return c.AppendAnomaly(nil, &a) }, func(b []byte) (any, error) {
			var v plant.Anomaly
			err := c.DecodeAnomaly(b, &v)
			return v, err
		}, &wireAnomaly{}, a},
		{OEEPart, func() ([]byte, error) { return c.AppendOEEPart(nil, &part) }, func(b []byte) (any, error) {
			var v plant.OEEPart
			err := c.DecodeOEEPart(b, &v)
			return v, err
		}, &wireOEEPart{}, part},
		{DeadLetterName, func() ([]byte, error) { return c.AppendDeadLetter(nil, &d) }, func(b []byte) (any, error) {
			var v DeadLetter
			err := c.DecodeDeadLetter(b, &v)
			return v, err
		}, &DeadLetter{}, d},
		{EventName, func() ([]byte, error) { return c.AppendDomainEvent(nil, &ev) }, func(b []byte) (any, error) {
			var v DomainEvent
			err := c.DecodeDomainEvent(b, &v)
			return v, err
		}, &DomainEvent{}, ev},
		{DirectoryName, func() ([]byte, error) { return c.AppendDirectoryEntry(nil, &en) }, func(b []byte) (any, error) {
			var v DirectoryEntry
			err := c.DecodeDirectoryEntry(b, &v)
			return v, err
		}, &DirectoryEntry{}, en},
	} {
		t.Run(string(tc.name), func(t *testing.T) {
			frame, err := tc.encode()
			if err != nil {
				t.Fatal(err)
			}
			other := second(t, tc.name)
			if err := avro.Unmarshal(other, frame[frameSize:], tc.wire); err != nil {
				t.Fatalf("second implementation: %v", err)
			}
			body, err := avro.Marshal(other, tc.wire)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tc.decode(append(frame[:frameSize:frameSize], body...))
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Fatalf("read %+v (%v), want %+v", got, err, tc.want)
			}
		})
	}
}

func TestHostileFrames(t *testing.T) {
	c := codec(t)
	good := c.AppendReading(nil, &plant.Reading{TS: 1, Value: 1, Seq: 5})
	nan := c.AppendReading(nil, &plant.Reading{TS: 1, Value: math.NaN(), Seq: -1})
	for name, tc := range map[string]struct {
		frame []byte
		want  error
	}{
		"empty":        {nil, ErrFrame},
		"magic":        {append([]byte{1}, good[1:]...), ErrFrame},
		"short prefix": {good[:4], ErrFrame},
		"no body":      {good[:5], ErrBody},
		"trailing":     {append(good[:len(good):len(good)], 0), ErrBody},
		"not finite":   {nan, ErrBody},
		"foreign id":   {append([]byte{0, 0, 0, 9, 9}, good[5:]...), ErrUnknownSchema},
	} {
		var r plant.Reading
		if err := c.DecodeReading(tc.frame, &r); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	for n := range len(good) {
		var r plant.Reading
		if c.DecodeReading(good[:n], &r) == nil {
			t.Errorf("a frame cut to %d bytes was taken", n)
		}
	}
}

func FuzzDecodeReading(f *testing.F) {
	c := codec(f)
	f.Add(c.AppendReading(nil, &plant.Reading{TS: 1, Value: 1, Seq: 5}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r plant.Reading
		if c.DecodeReading(b, &r) != nil {
			return
		}
		var again plant.Reading
		if err := c.DecodeReading(c.AppendReading(nil, &r), &again); err != nil || again != r {
			t.Fatalf("%+v does not survive a round trip: %v", r, err)
		}
	})
}

func FuzzDecodeLineEvent(f *testing.F) {
	c := codec(f)
	f.Add(c.AppendLineEvent(nil, &plant.LineEvent{TS: 1, Reason: "jam", Seq: 5}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e plant.LineEvent
		if c.DecodeLineEvent(b, &e) != nil {
			return
		}
		var again plant.LineEvent
		if err := c.DecodeLineEvent(c.AppendLineEvent(nil, &e), &again); err != nil || again != e {
			t.Fatalf("%+v does not survive a round trip: %v", e, err)
		}
	})
}

func FuzzDecodeOthers(f *testing.F) {
	c := codec(f)
	b, err := c.AppendDeadLetter(nil, &DeadLetter{Topic: "t"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) {
		var d DeadLetter
		_ = c.DecodeDeadLetter(b, &d)
		var a plant.Anomaly
		_ = c.DecodeAnomaly(b, &a)
		var p plant.OEEPart
		_ = c.DecodeOEEPart(b, &p)
		var e DirectoryEntry
		_ = c.DecodeDirectoryEntry(b, &e)
	})
}

func BenchmarkReading(b *testing.B) {
	c := codec(b)
	r := plant.Reading{Tenant: plant.NewID(), Line: plant.NewID(), Sensor: plant.NewID(), TS: 1_700_000_000_000, Value: 4.2, Seq: 12345}
	frame := c.AppendReading(nil, &r)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 128)
		for b.Loop() {
			buf = c.AppendReading(buf[:0], &r)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		var out plant.Reading
		for b.Loop() {
			if err := c.DecodeReading(frame, &out); err != nil {
				b.Fatal(err)
			}
		}
	})
}
