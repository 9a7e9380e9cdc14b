package ingest

import (
	"fmt"
	"testing"
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
