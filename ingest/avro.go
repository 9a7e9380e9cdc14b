package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/intake"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// avroLimits bound a container file by the request's limits.
func (b *Batch) avroLimits() schemas.ContainerLimits {
	l := schemas.DefaultContainerLimits()
	l.DecodedBytes = b.limits.Decoded
	l.BlockBytes = int(min(int64(l.BlockBytes), b.limits.Decoded))
	return l
}

// ReadReadingsAvro reads an Avro container file of readings.
func (b *Batch) ReadReadingsAvro(body []byte) error {
	return readAvro(b, body, schemas.OpenReadings, b.avroReading)
}

// ReadEventsAvro reads an Avro container file of line events.
func (b *Batch) ReadEventsAvro(body []byte) error {
	return readAvro(b, body, schemas.OpenLineEvents, b.avroEvent)
}

func readAvro[T any](b *Batch, body []byte, open func(io.Reader, schemas.ContainerLimits) (*schemas.Container[T], error), item func(int, *T)) error {
	c, err := open(bytes.NewReader(body), b.avroLimits())
	if err != nil {
		return unreadableFile(err)
	}
	defer c.Close()
	defer func() { b.event = plant.LineEvent{} }() // its texts would keep a block alive
	var v T
	for i := 0; ; i++ {
		if err := c.Next(&v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return unreadableFile(fmt.Errorf("%s[%d]: %w", b.list, c.Read(), err))
		}
		if b.items++; b.items > b.limits.Items {
			return fault.New(fault.TooLarge, "more than %d items in one request", b.limits.Items)
		}
		item(i, &v)
	}
}

// unreadableFile words an error of a container file. Its text says nothing but
// what the producer sent, so it may be shown.
func unreadableFile(err error) error {
	kind := fault.BadRequest
	switch {
	case errors.Is(err, schemas.ErrTooLarge):
		kind = fault.TooLarge
	case errors.Is(err, schemas.ErrContainerSchema):
		kind = fault.Invalid
	}
	return &fault.Error{Kind: kind, Detail: err.Error(), Cause: err}
}

func (b *Batch) avroReading(i int, in *schemas.IngestReading) {
	wrong := false
	refuse := func(field, rule, message string) {
		wrong = true
		b.refuse(i, field, rule, message)
	}
	r := &b.reading
	*r = plant.Reading{Tenant: b.tenant, TS: in.TS, Value: in.Value, Seq: plant.NoSeq}
	if in.Sensor == "" {
		refuse("sensor", "required", "must not be empty")
	}
	if math.IsNaN(in.Value) || math.IsInf(in.Value, 0) {
		refuse("value", "not_finite", "must be finite")
	}
	var ok bool
	if r.Quality, ok = plant.ParseQuality(in.Quality); !ok {
		refuse("quality", "unknown", "must be good, uncertain or bad")
	}
	r.Seq = avroSeq(in.Seq, in.HasSeq, refuse)
	if wrong {
		b.bad++
		return
	}
	b.name = append(b.name[:0], in.Sensor...)
	b.addReading(i, b.name, r)
}

func avroSeq(seq int64, has bool, refuse refuseFunc) int64 {
	if !has {
		return plant.NoSeq
	}
	if seq < 0 {
		refuse("seq", "range", "must be a whole number from 0 to 2^63-1")
	}
	return seq
}

func (b *Batch) avroEvent(i int, in *schemas.IngestLineEvent) {
	wrong := false
	refuse := func(field, rule, message string) {
		wrong = true
		b.refuse(i, field, rule, message)
	}
	e := &b.event
	*e = plant.LineEvent{Tenant: b.tenant, TS: in.TS, Reason: in.Reason, Product: in.Product, Unit: in.Unit}
	seen := b.avroTexts(in, refuse)
	for _, c := range [...]struct {
		field string
		bit   int
		to    *float64
		v     float64
		has   bool
	}{{"good", evGood, &e.Good, in.Good, in.HasGood}, {"scrap", evScrap, &e.Scrap, in.Scrap, in.HasScrap}, {"rework", evRework, &e.Rework, in.Rework, in.HasRework}} {
		// A writer whose counts can't be null fills a state's with zeros.
		if !c.has || (c.v == 0 && e.Type == plant.EventState) {
			continue
		}
		seen |= c.bit
		*c.to = c.v
		if x := intake.Count(c.field, c.v); x != nil {
			refuse(c.field, x.Rule, x.Message)
		}
	}
	e.Seq = avroSeq(in.Seq, in.HasSeq, refuse)
	eventRules(e, seen, refuse)
	if wrong {
		b.bad++
		return
	}
	b.name = append(b.name[:0], in.Line...)
	b.addEvent(i, b.name)
}

// avroTexts holds an event's texts to their rules, sets those that name
// something, and says which were there.
func (b *Batch) avroTexts(in *schemas.IngestLineEvent, refuse refuseFunc) (seen int) {
	e := &b.event
	seen = evTS
	for _, t := range [...]struct {
		field, text string
		bit, limit  int
	}{
		{"line", in.Line, evLine, math.MaxInt},
		{"type", in.Type, evType, math.MaxInt},
		{"state", in.State, evState, math.MaxInt},
		{"reason", in.Reason, evReason, plant.MaxReason},
		{"product", in.Product, evProduct, plant.MaxProduct},
		{"unit", in.Unit, evUnit, plant.MaxUnit},
	} {
		if t.text != "" {
			seen |= t.bit
		}
		if len(t.text) > t.limit {
			refuse(t.field, "too_long", "is too long")
		}
	}
	var ok bool
	if e.Type, ok = plant.ParseEventType(in.Type); !ok && in.Type != "" {
		refuse("type", "unknown", "must be state or count")
	}
	if e.State, ok = plant.ParseState(in.State); in.State != "" && (!ok || e.State == plant.StateUndefined) {
		refuse("state", "unknown", "is no PackML state (EXECUTE, HELD, STOPPED, LACK, TAILBACK, CIP, …)")
	}
	if in.ID != "" {
		var err error
		if e.ID, err = plant.ParseID(in.ID); err != nil {
			refuse("id", "invalid", "is not a UUID")
		}
	}
	return seen
}
