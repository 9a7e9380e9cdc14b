package ingest

import (
	"fmt"
	"testing"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// TestAddMessage: a bad message leaves nothing in a batch of good ones, and its
// errors are its own.
func TestAddMessage(t *testing.T) {
	b, dir, codec := avroBatch(t, Readings, nil)
	want := 0
	for i, m := range []struct {
		payload   string
		good, bad int
	}{{"1", 1, 0}, {`[{"value":2},{"value":"x"}]`, 0, 1}, {"{", 0, 0}, {`[{"value":3},{"value":4}]`, 2, 0}, {"x", 0, 0}, {`{"value":5,"a":1,"b":2}`, 0, 1}} {
		err := b.AddMessage(Readings, []byte("temp"), []byte(m.payload))
		if (err == nil) != (m.good > 0) || b.Bad() != m.bad {
			t.Errorf("%s: %v, %d bad", m.payload, err, b.Bad())
		}
		if want += m.good; b.Len() != want {
			t.Fatalf("message %d: %d records, want %d", i, b.Len(), want)
		}
	}
	for keep := want; keep >= 0; keep-- {
		b.Undo(keep)
		if b.Len() != keep {
			t.Fatalf("%d records, want %d", b.Len(), keep)
		}
	}
	for i := range 3 {
		if err := b.AddMessage(Readings, []byte(dir.sensor.ID.String()), []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		key, value := b.Record(i)
		if err := readBack(codec, Readings, value, b.now, b.limits); err != nil || *key != dir.sensor.Line {
			t.Errorf("record %d: %v %v", i, key, err)
		}
	}
}

// TestNoTimeOfItsOwn: a value that stands still and bottles that are counted one by
// one come many times in one millisecond, and are not copies of one another. A
// message that was kept is the same each time that it is taken in.
func TestNoTimeOfItsOwn(t *testing.T) {
	for _, c := range []struct {
		kind          Kind
		name, payload string
		again, kept   int // different ones of ten messages: sent anew, and one that was kept
	}{
		{Readings, "temp", `3.5`, 10, 1},
		{Readings, "temp", `{"value":3.5}`, 10, 1},
		{Events, "bottling", `{"type":"count","good":1}`, 10, 1},
		{Events, "bottling", `[{"type":"count","good":1},{"type":"count","good":1}]`, 20, 2},
	} {
		different := func(payload func(now int64) string, kept plant.ID) int {
			b, _, codec := avroBatch(t, c.kind, nil)
			b.kept = kept
			identities := map[string]bool{}
			for range 10 {
				if err := b.AddMessage(c.kind, []byte(c.name), []byte(payload(b.now))); err != nil {
					t.Fatal(err)
				}
			}
			for i := range b.Len() {
				_, value := b.Record(i)
				identities[identity(t, codec, c.kind, value, b.now)] = true
			}
			return len(identities)
		}
		plain := func(int64) string { return c.payload }
		if n := different(plain, plant.ID{}); n != c.again {
			t.Errorf("%s: %d of %d are told apart", c.payload, n, c.again)
		}
		if n := different(plain, plant.NewID()); n != c.kept {
			t.Errorf("%s, kept: %d are told apart, want %d", c.payload, n, c.kept)
		}
		stamped := func(now int64) string {
			if c.kind == Events {
				return fmt.Sprintf(`{"type":"count","good":1,"ts":%d}`, now)
			}
			return fmt.Sprintf(`{"value":3.5,"ts":%d}`, now)
		}
		if n := different(stamped, plant.ID{}); n != 1 { // control
			t.Errorf("%s at a time of its own: %d are told apart, want 1", c.payload, n)
		}
	}
}

// identity is what the processors tell copies by. What has no time of its own has
// the door's.
func identity(t *testing.T, codec *schemas.Codec, kind Kind, value []byte, now int64) string {
	t.Helper()
	var r plant.Reading
	var e plant.LineEvent
	if kind == Events {
		if err := codec.DecodeLineEvent(value, &e); err != nil || e.TS != now {
			t.Fatal(e, err)
		}
		return e.ID.String()
	}
	if err := codec.DecodeReading(value, &r); err != nil || r.TS != now {
		t.Fatal(r, err)
	}
	return fmt.Sprint(r.Identity())
}
