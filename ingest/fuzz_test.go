package ingest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// formats are all ways into a batch.
func (b *Batch) formats(kind Kind) []func([]byte) error {
	message := func(payload []byte) error { return b.ReadMessage(kind, []byte("temp"), payload) }
	if kind == Events {
		return []func([]byte) error{b.ReadEvents, b.ReadEventLines, b.ReadEventsAvro, message}
	}
	return []func([]byte) error{b.ReadReadings, b.ReadReadingLines, b.ReadReadingsAvro, message, b.ReadReading}
}

// FuzzBatch gives anything to every reader of ingest (S22). Whatever comes, the
// counts agree, what is listed is bounded and can be shown, an error is the
// producer's, and each good record is one that processors can read and that
// keeps the rules.
func FuzzBatch(f *testing.F) {
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		f.Fatal(err)
	}
	line := plant.NewID()
	dir := &oneLine{}
	dir.sensor.ID, dir.sensor.Line, dir.sensor.Key = plant.NewID(), line, "temp"
	dir.line.ID, dir.line.Key, dir.line.Unit = line, "temp", "bottle"
	limits := DefaultLimits()
	limits.Items, limits.Errors, limits.Decoded = 50, 5, 1<<20
	b := NewBatch(dir, codec, limits)
	const now = 1_764_000_000_000
	for i, s := range []string{
		`{"readings":[{"sensor":"temp","ts":1764000000000,"value":4.2,"quality":"good","seq":17}]}`,
		`{"readings":[{"sensor":"temp","ts":"2025-11-24T16:00:00.123+01:00","value":1e400,"seq":-1},{}]}`,
		"{\"sensor\":\"temp\",\"ts\":1764000000000,\"value\":-0.0}\n\n{\"sensor\":\"\\u0074emp\"}\n",
		`[{"value":1},{"value":2,"ts":1}]`, `-12.5e-3`, `{"ts":1764000000000,"type":"count","good":5,"scrap":1,"unit":"bottle"}`,
		`{"events":[{"line":"temp","ts":1764000000000,"type":"state","state":"EXECUTE","reason":"x"}]}`,
		`{"events":[{"line":"temp","ts":1764000000000,"type":"count","good":5,"scrap":1e300}]}`,
	} {
		for j := range 10 {
			f.Add(uint8(i+j), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, choice uint8, body []byte) {
		kind := Kind(choice & 1)
		b.Reset(plant.ID{1}, now, kind.List())
		all := b.formats(kind)
		sent := bytes.Clone(body)
		err := all[int(choice>>1)%len(all)](body)
		if !bytes.Equal(sent, body) {
			t.Fatal("the body was changed")
		}
		if k := fault.KindOf(err); err != nil && k != fault.BadRequest && k != fault.TooLarge && k != fault.Invalid {
			t.Fatalf("not the producer's fault: %v", err)
		}
		if err == nil && b.Items() != b.Len()+b.Bad() {
			t.Fatalf("%d items are %d good and %d bad", b.Items(), b.Len(), b.Bad())
		}
		if b.Faults() < b.Bad() || len(b.Errors()) != min(b.Faults(), limits.Errors) {
			t.Fatalf("%d bad, %d faults, %d listed", b.Bad(), b.Faults(), len(b.Errors()))
		}
		for _, e := range b.Errors() {
			if len(e.Location) > 200 || len(e.Message) > 500 || e.Rule == "" {
				t.Fatalf("not to be shown: %+v", e)
			}
		}
		for i := range b.Len() {
			key, value := b.Record(i)
			if *key != line {
				t.Fatalf("key %s", key)
			}
			if err := readBack(codec, kind, value, now, limits); err != nil {
				t.Fatalf("record %d of %q: %v", i, body, err)
			}
		}
	})
}

func readBack(codec *schemas.Codec, kind Kind, value []byte, now int64, limits Limits) error {
	var ts int64
	if kind == Events {
		var e plant.LineEvent
		if err := codec.DecodeLineEvent(value, &e); err != nil {
			return err
		}
		ts = e.TS
	} else {
		var r plant.Reading
		if err := codec.DecodeReading(value, &r); err != nil {
			return err
		}
		if r.Value-r.Value != 0 || r.Seq < plant.NoSeq {
			return errors.New("not finite, or a negative seq")
		}
		ts = r.TS
	}
	if ts > now+limits.Bounds.Future.Milliseconds() || ts < now-limits.Bounds.Past.Milliseconds() {
		return errors.New("a time past the limits")
	}
	return nil
}
