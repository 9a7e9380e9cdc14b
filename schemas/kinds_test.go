package schemas

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/plant"
)

// ops are one kind of record, for tests that go over all kinds.
type ops struct {
	name   Name
	draw   func(*rapid.T) any // what a program may write
	sample func() any         // what the golden bytes hold; never changes
	append func(*Codec, []byte, any) ([]byte, error)
	decode func(*Codec, []byte) (any, error)
	wire   func() any // as the libraries see it
}

func allKinds() []ops {
	return []ops{
		{Anomaly, drawAnomaly, sampleAnomaly, func(c *Codec, b []byte, v any) ([]byte, error) {
			a := v.(plant.Anomaly)
			return c.AppendAnomaly(b, &a)
		}, func(c *Codec, b []byte) (any, error) {
			var v plant.Anomaly
			err := c.DecodeAnomaly(b, &v)
			return v, err
		}, func() any { return &wireAnomaly{} }},
		{DeadLetterName, drawDeadLetter, sampleDeadLetter, func(c *Codec, b []byte, v any) ([]byte, error) {
			d := v.(DeadLetter)
			return c.AppendDeadLetter(b, &d)
		}, func(c *Codec, b []byte) (any, error) {
			var v DeadLetter
			err := c.DecodeDeadLetter(b, &v)
			return v, err
		}, func() any { return &DeadLetter{} }},
		{DirectoryName, drawEntry, sampleEntry, func(c *Codec, b []byte, v any) ([]byte, error) {
			e := v.(DirectoryEntry)
			return c.AppendDirectoryEntry(b, &e)
		}, func(c *Codec, b []byte) (any, error) {
			var v DirectoryEntry
			err := c.DecodeDirectoryEntry(b, &v)
			return v, err
		}, func() any { return &DirectoryEntry{} }},
		{EventName, drawDomainEvent, sampleDomainEvent, func(c *Codec, b []byte, v any) ([]byte, error) {
			e := v.(DomainEvent)
			return c.AppendDomainEvent(b, &e)
		}, func(c *Codec, b []byte) (any, error) {
			var v DomainEvent
			err := c.DecodeDomainEvent(b, &v)
			return v, err
		}, func() any { return &DomainEvent{} }},
		{KeyUseName, drawKeyUse, sampleKeyUse, func(c *Codec, b []byte, v any) ([]byte, error) {
			u := v.(KeyUse)
			return c.AppendKeyUse(b, &u)
		}, func(c *Codec, b []byte) (any, error) {
			var v KeyUse
			err := c.DecodeKeyUse(b, &v)
			return v, err
		}, func() any { return &KeyUse{} }},
		{LineEvent, func(t *rapid.T) any { return drawLineEvent(t) }, sampleLineEvent, func(c *Codec, b []byte, v any) ([]byte, error) {
			e := v.(plant.LineEvent)
			return c.AppendLineEvent(b, &e), nil
		}, func(c *Codec, b []byte) (any, error) {
			var v plant.LineEvent
			err := c.DecodeLineEvent(b, &v)
			return v, err
		}, func() any { return &wireLineEvent{} }},
		{OEEPart, drawOEEPart, sampleOEEPart, func(c *Codec, b []byte, v any) ([]byte, error) {
			p := v.(plant.OEEPart)
			return c.AppendOEEPart(b, &p)
		}, func(c *Codec, b []byte) (any, error) {
			var v plant.OEEPart
			err := c.DecodeOEEPart(b, &v)
			return v, err
		}, func() any { return &wireOEEPart{} }},
		{Reading, func(t *rapid.T) any { return drawReading(t) }, sampleReading, func(c *Codec, b []byte, v any) ([]byte, error) {
			r := v.(plant.Reading)
			return c.AppendReading(b, &r), nil
		}, func(c *Codec, b []byte) (any, error) {
			var v plant.Reading
			err := c.DecodeReading(b, &v)
			return v, err
		}, func() any { return &wireReading{} }},
	}
}

func codec(t testing.TB) *Codec {
	t.Helper()
	c, err := NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// memory is a registry in memory.
type memory struct {
	texts []string // by id - 1
	asked int
	err   error // given for every question of an id, where set
}

func (m *memory) Register(_ context.Context, _, schema string) (int, error) {
	for i, s := range m.texts {
		if s == schema {
			return i + 1, nil
		}
	}
	m.texts = append(m.texts, schema)
	return len(m.texts), nil
}

func (m *memory) Schema(_ context.Context, id int) (string, error) {
	m.asked++
	switch {
	case m.err != nil:
		return "", m.err
	case id < 1 || id > len(m.texts):
		return "", fmt.Errorf("id %d: %w", id, ErrUnknownSchema)
	}
	return m.texts[id-1], nil
}

// foreignID enters a schema of a kind that is not this program's own, though it
// says the same, so that decoding goes through resolution.
func (m *memory) foreignID(t testing.TB, text string) int {
	t.Helper()
	id, err := m.Register(context.Background(), "", " "+text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func frameOf(id int, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(id)), body...)
}

func drawID(t *rapid.T, label string) (id plant.ID) {
	copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
	return id
}

func drawTS(t *rapid.T, label string) int64 { return rapid.Int64Range(0, maxTS).Draw(t, label) }

func drawReading(t *rapid.T) plant.Reading {
	return plant.Reading{
		Tenant: drawID(t, "tenant"), Line: drawID(t, "line"), Sensor: drawID(t, "sensor"),
		TS: drawTS(t, "ts"), Value: rapid.Float64Range(-plant.MaxValue, plant.MaxValue).Draw(t, "value"),
		Quality: plant.Quality(rapid.IntRange(0, 2).Draw(t, "quality")), Seq: rapid.Int64Range(-1, math.MaxInt64).Draw(t, "seq"),
	}
}

func drawLineEvent(t *rapid.T) plant.LineEvent {
	count := rapid.Float64Range(0, plant.MaxCount)
	return plant.LineEvent{
		Tenant: drawID(t, "tenant"), Line: drawID(t, "line"), ID: drawID(t, "id"), TS: drawTS(t, "ts"),
		Type: plant.EventType(rapid.IntRange(0, 1).Draw(t, "type")), State: plant.State(rapid.IntRange(0, 23).Draw(t, "state")),
		Reason: rapid.StringN(0, 40, plant.MaxReason).Draw(t, "reason"), Product: rapid.StringN(0, 20, plant.MaxProduct).Draw(t, "product"),
		Good: count.Draw(t, "good"), Scrap: count.Draw(t, "scrap"), Rework: count.Draw(t, "rework"),
		Unit: rapid.StringN(0, 8, plant.MaxUnit).Draw(t, "unit"), Seq: rapid.Int64Range(-1, math.MaxInt64).Draw(t, "seq"),
	}
}

func drawAnomaly(t *rapid.T) any {
	return plant.Anomaly{
		ID: drawID(t, "id"), Tenant: drawID(t, "tenant"), Line: drawID(t, "line"), Sensor: drawID(t, "sensor"),
		Kind: plant.AnomalyKind(rapid.IntRange(0, len(plant.AnomalyKinds())-1).Draw(t, "kind")), TS: drawTS(t, "ts"), Since: drawTS(t, "since"),
		Value: rapid.Float64().Draw(t, "value"), Expected: rapid.Float64().Draw(t, "expected"), Score: rapid.Float32Range(0, 1).Draw(t, "score"),
		Partition: rapid.Int32Range(0, 1000).Draw(t, "partition"), Offset: rapid.Int64Range(0, math.MaxInt64).Draw(t, "offset"),
		TopicID: drawID(t, "topic id"), Epoch: rapid.Int64().Draw(t, "epoch"), Ended: rapid.Bool().Draw(t, "ended"),
	}
}

func drawOEEPart(t *rapid.T) any {
	p := plant.OEEPart{
		Tenant: drawID(t, "tenant"), Line: drawID(t, "line"), Minute: drawTS(t, "minute"), Product: rapid.String().Draw(t, "product"),
		Revision: rapid.Uint32().Draw(t, "revision"), Unit: rapid.String().Draw(t, "unit"),
		PlannedBusyMS: rapid.Int64().Draw(t, "pbt"), RunMS: rapid.Int64().Draw(t, "apt"), Policy: rapid.Uint32().Draw(t, "policy"),
	}
	for i := range p.TimeMS {
		p.TimeMS[i] = rapid.Int64Range(-60_000, 60_000).Draw(t, "time")
	}
	for _, f := range []*float64{&p.IdealTotalMS, &p.IdealGoodMS, &p.Total, &p.Good, &p.Scrap, &p.StartupScrap, &p.Rework} {
		*f = rapid.Float64().Draw(t, "figure")
	}
	return p
}

func drawDeadLetter(t *rapid.T) any {
	bytes := rapid.SliceOf(rapid.Byte())
	optional := func(label string) *[]byte {
		if rapid.Bool().Draw(t, label+" null") {
			return nil
		}
		b := bytes.Draw(t, label)
		return &b
	}
	d := DeadLetter{
		ID: drawID(t, "id"), Topic: rapid.String().Draw(t, "topic"), Partition: rapid.Int32().Draw(t, "partition"),
		Offset: rapid.Int64().Draw(t, "offset"), TS: drawTS(t, "ts"), Key: optional("key"), Value: optional("value"),
		Headers: []Header{}, Reason: "body", Detail: rapid.String().Draw(t, "detail"), FailedAt: drawTS(t, "failed at"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		d.Headers = append(d.Headers, Header{rapid.String().Draw(t, "header"), bytes.Draw(t, "header value")})
	}
	if rapid.Bool().Draw(t, "marked") {
		d.Mark = &LetterMark{State: rapid.String().Draw(t, "state"), Run: drawID(t, "run"), After: drawID(t, "after"), LeaseMS: rapid.Int64().Draw(t, "lease")}
	}
	return d
}

func drawDomainEvent(t *rapid.T) any {
	return DomainEvent{
		ID: drawID(t, "id"), Type: rapid.String().Draw(t, "type"), Tenant: drawID(t, "tenant"), AggregateType: rapid.String().Draw(t, "aggregate type"),
		Aggregate: drawID(t, "aggregate"), Seq: rapid.Int64().Draw(t, "seq"), TS: drawTS(t, "ts"), Actor: rapid.String().Draw(t, "actor"), Data: rapid.String().Draw(t, "data"),
	}
}

func drawEntry(t *rapid.T) any {
	return DirectoryEntry{
		Kind: rapid.String().Draw(t, "kind"), Tenant: drawID(t, "tenant"), ID: drawID(t, "id"),
		Version: rapid.Int64().Draw(t, "version"), Data: rapid.String().Draw(t, "data"),
	}
}

func drawKeyUse(t *rapid.T) any {
	return KeyUse{Tenant: drawID(t, "tenant"), APIKey: drawID(t, "key"), TS: drawTS(t, "ts")}
}

// numbered makes an id that is the same in each run.
func numbered(n byte) (id plant.ID) {
	for i := range id {
		id[i] = n<<4 | byte(i)
	}
	return id
}

func sampleReading() any {
	return plant.Reading{Tenant: numbered(1), Line: numbered(2), Sensor: numbered(3), TS: 1_764_000_000_123, Value: -40.25, Quality: plant.QualityUncertain, Seq: 300}
}

func sampleLineEvent() any {
	return plant.LineEvent{
		Tenant: numbered(1), Line: numbered(2), ID: numbered(4), TS: 1_764_000_000_123, Type: plant.EventState, State: plant.StateTailback,
		Reason: "Folie gerissen – Spur 2", Product: "cola-0.5", Good: 12, Scrap: 0.5, Rework: 1, Unit: "bottle", Seq: plant.NoSeq,
	}
}

func sampleAnomaly() any {
	return plant.Anomaly{
		ID: numbered(5), Tenant: numbered(1), Line: numbered(2), Sensor: numbered(3), Kind: plant.AnomalyLimitHH, TS: 1_764_000_000_123,
		Since: 1_764_000_000_000, Value: 99.5, Expected: 80, Score: 0.875, Partition: 7, Offset: 1 << 40,
	}
}

func sampleOEEPart() any {
	p := plant.OEEPart{
		Tenant: numbered(1), Line: numbered(2), Minute: 1_764_000_000_000, Product: "cola-0.5", Revision: 2, Unit: "bottle",
		PlannedBusyMS: 60_000, RunMS: 54_000, IdealTotalMS: 50_000.5, IdealGoodMS: 49_000, Total: 100, Good: 98, Scrap: 2, StartupScrap: 1, Rework: 0.5, Policy: 3,
	}
	p.TimeMS[plant.ClassRunning] = 60_000 // one class: a map has no order
	return p
}

func sampleDeadLetter() any {
	value := []byte{0, 0, 0, 0, 9, 0xff}
	return DeadLetter{
		ID: numbered(6), Topic: "foodflow.readings.v1", Partition: 7, Offset: 42, TS: 1_764_000_000_123, Value: &value,
		Headers: []Header{{"traceparent", []byte("00-a-b-01")}}, Reason: "body", Detail: "the body does not fit its schema", FailedAt: 1_764_000_000_456,
	}
}

func sampleDomainEvent() any {
	return DomainEvent{
		ID: numbered(7), Type: "BatchStarted", Tenant: numbered(1), AggregateType: "batch", Aggregate: numbered(8), Seq: 2,
		TS: 1_764_000_000_123, Actor: "user:1", Data: `{"product":"cola-0.5"}`,
	}
}

func sampleEntry() any {
	return DirectoryEntry{Kind: "line", Tenant: numbered(1), ID: numbered(2), Version: 5, Data: `{"key":"bottling-1"}`}
}

func sampleKeyUse() any {
	return KeyUse{Tenant: numbered(1), APIKey: numbered(9), TS: 1_764_000_000_123}
}
