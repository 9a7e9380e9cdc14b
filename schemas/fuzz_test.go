package schemas

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/foodflow/foodflow/internal/plant"
)

// fuzzKind feeds bodies to a kind's decoder under this program's own id and
// under a foreign one. Both must take the same bodies to the same value, what is
// taken must survive being written again, and every error is of a known kind.
func fuzzKind(f *testing.F, name Name) {
	reg := &memory{}
	c, err := NewCodec(f.Context(), reg)
	if err != nil {
		f.Fatal(err)
	}
	text, _, err := latest(name)
	if err != nil {
		f.Fatal(err)
	}
	foreign := reg.foreignID(f, text)
	for _, k := range allKinds() {
		if k.name != name {
			continue
		}
		frame, err := k.append(c, nil, k.sample())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame[frameSize:])
		f.Fuzz(func(t *testing.T, body []byte) {
			own, err := k.decode(c, frameOf(c.kinds[name].id, body))
			other, otherErr := k.decode(c, frameOf(foreign, body))
			if (err == nil) != (otherErr == nil) {
				t.Fatalf("own schema: %v, foreign schema: %v", err, otherErr)
			}
			if err != nil {
				if !errors.Is(err, ErrBody) || !errors.Is(otherErr, ErrBody) {
					t.Fatalf("errors of another kind: %v, %v", err, otherErr)
				}
				return
			}
			if !same(own, other) {
				t.Fatalf("own schema: %+v, foreign schema: %+v", own, other)
			}
			again, err := k.append(c, nil, own)
			if err != nil {
				t.Fatal(err)
			}
			got, err := k.decode(c, again)
			if err != nil || !same(got, own) {
				t.Fatalf("%+v came back as %+v (%v)", own, got, err)
			}
		})
	}
}

// same is equality, with a NaN equal to itself: figures of results may be NaN.
func same(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		if f := x.Field(i); f.CanFloat() && math.IsNaN(f.Float()) && math.IsNaN(y.Field(i).Float()) {
			continue
		}
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			return false
		}
	}
	return true
}

func FuzzReading(f *testing.F)        { fuzzKind(f, Reading) }
func FuzzLineEvent(f *testing.F)      { fuzzKind(f, LineEvent) }
func FuzzAnomaly(f *testing.F)        { fuzzKind(f, Anomaly) }
func FuzzOEEPart(f *testing.F)        { fuzzKind(f, OEEPart) }
func FuzzDeadLetter(f *testing.F)     { fuzzKind(f, DeadLetterName) }
func FuzzDomainEvent(f *testing.F)    { fuzzKind(f, EventName) }
func FuzzDirectoryEntry(f *testing.F) { fuzzKind(f, DirectoryName) }
func FuzzKeyUse(f *testing.F)         { fuzzKind(f, KeyUseName) }

// FuzzFrame takes whole frames: whatever stands on a topic.
func FuzzFrame(f *testing.F) {
	c := codec(f)
	for _, k := range allKinds() {
		frame, err := k.append(c, nil, k.sample())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, k := range allKinds() {
			_, err := k.decode(c, frame)
			if err != nil && !errors.Is(err, ErrFrame) && !errors.Is(err, ErrUnknownSchema) && !errors.Is(err, ErrBody) {
				t.Fatalf("%s: an error of another kind: %v", k.name, err)
			}
		}
	})
}

// FuzzWriterSchema takes schemas from strangers: as a registry's answer and as a
// container file's own.
func FuzzWriterSchema(f *testing.F) {
	for _, n := range Names() {
		text, _, err := latest(n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, []byte{2, 's', 2, 0, 0, 0, 0, 0, 0, 0, 0})
	}
	f.Add(plainSchema, []byte{2, 's', 2, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, text string, body []byte) {
		reg := &memory{}
		c, err := NewCodec(t.Context(), reg)
		if err != nil {
			t.Fatal(err)
		}
		var r plant.Reading
		err = c.DecodeReading(frameOf(reg.foreignID(t, text), body), &r)
		if err != nil && !errors.Is(err, ErrUnknownSchema) && !errors.Is(err, ErrBody) {
			t.Fatalf("an error of another kind: %v", err)
		}
		if _, err := readings(rawContainer(text, "null", block(1, int64(len(body)), body...)), DefaultContainerLimits()); err != nil &&
			!errors.Is(err, ErrContainer) && !errors.Is(err, ErrContainerSchema) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrBody) {
			t.Fatalf("an error of another kind: %v", err)
		}
	})
}
