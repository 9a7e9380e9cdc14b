package schemas

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/plant"
)

// TestFloodOfIDs: made-up ids neither fill memory nor push out a schema that is
// in use.
func TestFloodOfIDs(t *testing.T) {
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
	r := sampleReading().(plant.Reading)
	body := c.AppendReading(nil, &r)[frameSize:]
	if err := c.DecodeReading(frameOf(foreign, body), &r); err != nil {
		t.Fatal(err)
	}
	for i := range 50_000 {
		if err := c.DecodeReading(frameOf(1_000+i, body), &r); !errors.Is(err, ErrUnknownSchema) {
			t.Fatal(err)
		}
	}
	asked := reg.asked
	if err := c.DecodeReading(frameOf(maxID+1, body), &r); !errors.Is(err, ErrUnknownSchema) || reg.asked != asked {
		t.Errorf("an id that no registry gives was asked for (%v)", err)
	}
	if n := len(c.foreign.refused); n > maxRefused {
		t.Errorf("%d ids remembered, want at most %d", n, maxRefused)
	}
	if err := c.DecodeReading(frameOf(foreign, body), &r); err != nil || reg.asked != asked {
		t.Errorf("the schema in use was forgotten (%v)", err)
	}
	for i := range maxResolved + 50 {
		id := reg.foreignID(t, fmt.Sprintf("%*s%s", i, "", text))
		if err := c.DecodeReading(frameOf(id, body), &r); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.foreign.resolved); n > maxResolved {
		t.Errorf("%d schemas remembered, want at most %d", n, maxResolved)
	}
}

// TestRefusalsExpire: an id that was unknown is asked for again after a while,
// and only then: its schema may have been entered since.
func TestRefusalsExpire(t *testing.T) {
	reg := &memory{}
	c, err := NewCodec(t.Context(), reg)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(0, 0)
	c.foreign.now = func() time.Time { return now }
	text, _, err := latest(Reading)
	if err != nil {
		t.Fatal(err)
	}
	want := sampleReading().(plant.Reading)
	frame := frameOf(len(reg.texts)+1, c.AppendReading(nil, &want)[frameSize:])
	var got plant.Reading
	for range 3 {
		if err := c.DecodeReading(frame, &got); !errors.Is(err, ErrUnknownSchema) {
			t.Fatal(err)
		}
	}
	if reg.asked != 1 {
		t.Errorf("asked %d times within the life of a refusal, want 1", reg.asked)
	}
	reg.foreignID(t, text)
	now = now.Add(forgetRefused)
	if err := c.DecodeReading(frame, &got); err != nil || got != want {
		t.Errorf("after it: %+v, %v", got, err)
	}
}

// TestRegistryErrorsAreNotRemembered: what may pass is told apart from what is
// final, whatever error the registry's client makes of it.
func TestRegistryErrorsAreNotRemembered(t *testing.T) {
	for _, cause := range []error{ErrRegistry, errors.New("connection refused")} {
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
		r := sampleReading().(plant.Reading)
		frame := frameOf(foreign, c.AppendReading(nil, &r)[frameSize:])
		reg.err = cause
		if err := c.DecodeReading(frame, &r); !errors.Is(err, ErrRegistry) || !errors.Is(err, cause) || errors.Is(err, ErrUnknownSchema) {
			t.Errorf("got %v, want ErrRegistry", err)
		}
		reg.err = nil
		if err := c.DecodeReading(frame, &r); err != nil {
			t.Errorf("with the registry back: %v", err)
		}
	}
}

// TestForeignGarbage: a registry's answer that is no schema, or one of another
// shape, is final for the record.
func TestForeignGarbage(t *testing.T) {
	reg := &memory{}
	c, err := NewCodec(t.Context(), reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{", `"long"`, `{"type":"record","name":"Reading","namespace":"com.foodflow.v1","fields":[]}`} {
		var r plant.Reading
		if err := c.DecodeReading(frameOf(reg.foreignID(t, text), make([]byte, 80)), &r); !errors.Is(err, ErrUnknownSchema) {
			t.Errorf("%q: %v, want ErrUnknownSchema", text, err)
		}
	}
}
