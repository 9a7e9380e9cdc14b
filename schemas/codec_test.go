package schemas

import (
	"context"
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/hamba/avro/v2"
	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/plant"
)

// second parses the newest schema with the independent implementation.
func second(t testing.TB, n Name) avro.Schema {
	t.Helper()
	all, err := Versions(n)
	if err != nil {
		t.Fatal(err)
	}
	return avro.MustParse(all[len(all)-1])
}

// TestSecondImplementation: what we write hamba reads, and what it makes of that
// we read back to what was written, for each kind.
func TestSecondImplementation(t *testing.T) {
	c := codec(t)
	for _, k := range allKinds() {
		other := second(t, k.name)
		t.Run(string(k.name), rapid.MakeCheck(func(t *rapid.T) {
			want := k.draw(t)
			frame, err := k.append(c, nil, want)
			if err != nil {
				t.Fatal(err)
			}
			w := k.wire()
			if err := avro.Unmarshal(other, frame[frameSize:], w); err != nil {
				t.Fatalf("hamba refuses what we wrote: %v", err)
			}
			body, err := avro.Marshal(other, w)
			if err != nil {
				t.Fatal(err)
			}
			got, err := k.decode(c, append(frame[:frameSize:frameSize], body...))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("read %+v (%v), want %+v", got, err, want)
			}
		}))
	}
}

// TestForeignSchema: the same record under a schema that is not this program's
// own is read by resolution, to the same value.
func TestForeignSchema(t *testing.T) {
	reg := &memory{}
	c, err := NewCodec(t.Context(), reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range allKinds() {
		text, _, err := latest(k.name)
		if err != nil {
			t.Fatal(err)
		}
		id := reg.foreignID(t, text)
		t.Run(string(k.name), rapid.MakeCheck(func(t *rapid.T) {
			want := k.draw(t)
			frame, err := k.append(c, nil, want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := k.decode(c, frameOf(id, frame[frameSize:]))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("read %+v (%v), want %+v", got, err, want)
			}
		}))
	}
}

// TestCutAndPadded: no kind is taken when it is cut short anywhere or has a byte
// too many.
func TestCutAndPadded(t *testing.T) {
	c := codec(t)
	for _, k := range allKinds() {
		frame, err := k.append(c, nil, k.sample())
		if err != nil {
			t.Fatal(err)
		}
		for n := range frame {
			want := ErrBody
			if n < frameSize {
				want = ErrFrame
			}
			if _, err := k.decode(c, frame[:n:n]); !errors.Is(err, want) {
				t.Errorf("%s cut to %d of %d bytes: %v, want %v", k.name, n, len(frame), err, want)
			}
		}
		if _, err := k.decode(c, append(frame, 0)); !errors.Is(err, ErrBody) {
			t.Errorf("%s with a byte too many: %v", k.name, err)
		}
	}
}

// TestHostileFrames: each fault is told by its error, by the fast path and by
// resolution alike.
func TestHostileFrames(t *testing.T) {
	reg := &memory{}
	c, err := NewCodec(t.Context(), reg)
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := latest(Reading)
	if err != nil {
		t.Fatal(err)
	}
	foreign := reg.foreignID(t, text)
	good := sampleReading().(plant.Reading)
	with := func(change func(*plant.Reading)) []byte {
		r := good
		change(&r)
		return c.AppendReading(nil, &r)[frameSize:]
	}
	ids := make([]byte, idsSize)
	overlong := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}
	for name, body := range map[string][]byte{
		"not a number":      with(func(r *plant.Reading) { r.Value = math.NaN() }),
		"infinite":          with(func(r *plant.Reading) { r.Value = math.Inf(-1) }),
		"too large":         with(func(r *plant.Reading) { r.Value = math.Nextafter(-plant.MaxValue, math.Inf(-1)) }),
		"before 1970":       with(func(r *plant.Reading) { r.TS = -1 }),
		"after 2299":        with(func(r *plant.Reading) { r.TS = maxTS + 1 }),
		"quality":           with(func(r *plant.Reading) { r.Quality = 3 }),
		"negative quality":  append(append(append(append([]byte{}, ids...), 2), make([]byte, 8)...), 1, 0),
		"branch":            append(append(append(append([]byte{}, ids...), 2), make([]byte, 8)...), 0, 4),
		"negative seq":      append(append(append(append([]byte{}, ids...), 2), make([]byte, 8)...), 0, 2, 3),
		"overlong time":     append(append(ids[:idsSize:idsSize], overlong...), make([]byte, 10)...),
		"nothing":           nil,
		"one byte too many": append(with(func(*plant.Reading) {}), 0),
	} {
		for _, id := range []int{c.reading.id, foreign} {
			var r plant.Reading
			if err := c.DecodeReading(frameOf(id, body), &r); !errors.Is(err, ErrBody) {
				t.Errorf("%s under id %d: got %v, want ErrBody", name, id, err)
			}
		}
	}
	for name, tc := range map[string]struct {
		frame []byte
		want  error
	}{
		"empty":                 {nil, ErrFrame},
		"magic":                 {append([]byte{1}, make([]byte, 80)...), ErrFrame},
		"short prefix":          {make([]byte, 4), ErrFrame},
		"unknown id":            {frameOf(9999, make([]byte, 80)), ErrUnknownSchema},
		"id past 31 bits":       {frameOf(1<<31+1, make([]byte, 80)), ErrUnknownSchema},
		"another kind's schema": {frameOf(c.event.id, make([]byte, 80)), ErrUnknownSchema},
	} {
		var r plant.Reading
		if err := c.DecodeReading(tc.frame, &r); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

func TestHostileLineEvents(t *testing.T) {
	reg := &memory{}
	c, err := NewCodec(t.Context(), reg)
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := latest(LineEvent)
	if err != nil {
		t.Fatal(err)
	}
	foreign := reg.foreignID(t, text)
	long := string(make([]byte, 1000))
	for name, change := range map[string]func(*plant.LineEvent){
		"type":           func(e *plant.LineEvent) { e.Type = 2 },
		"state":          func(e *plant.LineEvent) { e.State = 24 },
		"negative count": func(e *plant.LineEvent) { e.Good = -1 },
		"infinite count": func(e *plant.LineEvent) { e.Scrap = math.Inf(1) },
		"large count":    func(e *plant.LineEvent) { e.Scrap = math.Nextafter(plant.MaxCount, math.Inf(1)) },
		"no number":      func(e *plant.LineEvent) { e.Rework = math.NaN() },
		"long reason":    func(e *plant.LineEvent) { e.Reason = long },
		"long product":   func(e *plant.LineEvent) { e.Product = long },
		"long unit":      func(e *plant.LineEvent) { e.Unit = long },
		"not UTF-8":      func(e *plant.LineEvent) { e.Reason = "\xff" },
		"time":           func(e *plant.LineEvent) { e.TS = math.MinInt64 },
	} {
		e := sampleLineEvent().(plant.LineEvent)
		change(&e)
		body := c.AppendLineEvent(nil, &e)[frameSize:]
		for _, id := range []int{c.event.id, foreign} {
			var got plant.LineEvent
			if err := c.DecodeLineEvent(frameOf(id, body), &got); !errors.Is(err, ErrBody) {
				t.Errorf("%s under id %d: got %v, want ErrBody", name, id, err)
			}
		}
	}
}

// TestHotPathDoesNotAllocate: a reading never, a line event not while its texts
// repeat.
func TestHotPathDoesNotAllocate(t *testing.T) {
	c := codec(t)
	r, e := sampleReading().(plant.Reading), sampleLineEvent().(plant.LineEvent)
	rf, ef := c.AppendReading(nil, &r), c.AppendLineEvent(nil, &e)
	buf := make([]byte, 0, 1024)
	var r2 plant.Reading
	var e2 plant.LineEvent
	for name, f := range map[string]func() error{
		"append reading": func() error { buf = c.AppendReading(buf[:0], &r); return nil },
		"append event":   func() error { buf = c.AppendLineEvent(buf[:0], &e); return nil },
		"decode reading": func() error { return c.DecodeReading(rf, &r2) },
		"decode event":   func() error { return c.DecodeLineEvent(ef, &e2) },
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { _ = f() }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func TestReadingSizeHoldsTheLargest(t *testing.T) {
	c := codec(t)
	rapid.Check(t, func(t *rapid.T) {
		r := drawReading(t)
		r.TS = rapid.Int64().Draw(t, "any ts")
		if n := len(c.AppendReading(nil, &r)); n > ReadingSize {
			t.Fatalf("a frame of %d bytes, ReadingSize is %d", n, ReadingSize)
		}
	})
}

// TestIDsOutOfRange: a registry whose ids don't fit a frame is refused at the
// start, not found out from garbled records.
func TestIDsOutOfRange(t *testing.T) {
	for _, id := range []int{-1, 1 << 31} {
		if _, err := NewCodec(context.Background(), fixedID(id)); err == nil {
			t.Errorf("id %d was taken", id)
		}
	}
}

type fixedID int

func (f fixedID) Register(context.Context, string, string) (int, error) { return int(f), nil }
func (f fixedID) Schema(context.Context, int) (string, error)           { return "", ErrUnknownSchema }
