package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/anomaly"
	"github.com/foodflow/foodflow/processors/oee"
	"github.com/foodflow/foodflow/processors/window"
	"github.com/foodflow/foodflow/schemas"
)

// The inputs of a slot, in the order in which a batch folds them: events first,
// so that a reading finds its line in the state it was in.
const (
	inputEvents = iota
	inputReadings
)

// Inputs are the topics of the job.
func Inputs() []string { return []string{broker.TopicLineEvents, broker.TopicReadings} }

// Inserter puts a block into ClickHouse under a token.
type Inserter interface {
	Insert(ctx context.Context, b sink.Block, token string) error
}

// Publisher publishes messages and waits for their acks.
type Publisher interface {
	Publish(ctx context.Context, msgs []broker.Message) error
}

// Deps are what the tasks of a process share.
type Deps struct {
	Codec     *schemas.Codec
	Directory *directory.Store
	Sink      Inserter
	Publisher Publisher
	Metrics   *Metrics
}

// sensor is the state of one sensor.
type sensor struct {
	replay           window.Replay
	detector         anomaly.Detector
	minute           window.Minute
	open             bool            // in task.open
	tenant, line, id plant.ID        // of the last reading
	cfg              *anomaly.Config // cache of what the directory says, not state
	seen             uint64          // directory.Store.Changes at which cfg was made
}

// line is the state of one line.
type line struct {
	tenant, id plant.ID
	ledger     oee.Line
	sign       int64 // last second that a reading signalled
	cfg        *oee.Config
	seen       uint64
	touched    bool // in task.touched
}

// task is the state and open output of one slot.
type task struct {
	deps Deps
	slot stream.Slot

	sensors map[plant.ID]*sensor
	windows int // bytes of all sensors' anti-replay windows
	lines   map[plant.ID]*line
	open    []*sensor // with readings summed up but not handed out
	touched []*line   // since the last Settle, in order of their first record

	readings  *sink.Readings
	events    *sink.LineEvents
	anomalies *sink.Anomalies
	parts     *sink.OEEParts
	minutes   *sink.Minutes
	messages  []broker.Message
	counts    counts

	found   anomaly.Findings
	reading plant.Reading
	event   plant.LineEvent
}

// counts are what a batch adds to the metrics once it is durable.
type counts struct{ readings, copies, unknown, events, anomalies, parts int }

// NewTask makes the task of a slot.
func NewTask(deps Deps, slot stream.Slot) stream.Task {
	return &task{
		deps: deps, slot: slot, sensors: map[plant.ID]*sensor{}, lines: map[plant.ID]*line{},
		readings: sink.NewReadings(), events: sink.NewLineEvents(), anomalies: sink.NewAnomalies(), parts: sink.NewOEEParts(), minutes: sink.NewMinutes(),
	}
}

// Fold takes a reading or an event.
func (t *task) Fold(r stream.Record) error {
	if r.Input == inputReadings {
		return t.foldReading(&r)
	}
	return t.foldEvent(&r)
}

func (t *task) foldReading(r *stream.Record) error {
	x := &t.reading
	if err := t.deps.Codec.DecodeReading(r.Value, x); err != nil {
		return undecodable(err)
	}
	s := t.sensor(x.Sensor)
	ts, word := x.Identity()
	before := s.replay.Size()
	verdict := s.replay.See(ts, word, t.horizon())
	t.windows += s.replay.Size() - before
	switch verdict {
	case window.Copy:
		t.counts.copies++
		return nil
	case window.Unknown:
		t.counts.unknown++
	case window.New:
	}
	score := s.detector.Observe(s.cfg, x.TS, x.Value, x.Quality, &t.found)
	t.readings.Append(x, score, t.slot.Partition, r.Offset)
	t.counts.readings++
	t.sum(s, x)
	for _, f := range t.found.All() {
		if err := t.anomaly(x, f, r.Offset); err != nil {
			return err
		}
	}
	if !x.Line.IsZero() {
		l := t.line(x.Tenant, x.Line)
		if second := x.TS / 1000; second != l.sign {
			l.sign = second
			l.ledger.Signal(l.cfg, x.TS, t.emit(l))
			t.touch(l)
		}
	}
	return nil
}

func (t *task) foldEvent(r *stream.Record) error {
	e := &t.event
	if err := t.deps.Codec.DecodeLineEvent(r.Value, e); err != nil {
		return undecodable(err)
	}
	l := t.line(e.Tenant, e.Line)
	fresh, err := l.ledger.Event(l.cfg, e, t.emit(l))
	if err != nil {
		if errors.Is(err, oee.ErrLate) || errors.Is(err, oee.ErrFull) {
			return &stream.Poison{Reason: "late", Err: err}
		}
		return err
	}
	t.touch(l)
	if !fresh {
		t.counts.copies++
		return nil
	}
	t.events.Append(e, t.slot.Partition, r.Offset)
	t.counts.events++
	return nil
}

// A slot's anti-replay windows span a quarter of an hour of each sensor while
// they fit the budget together, and half a minute beyond it: a plant of some thousand
// sensors is protected for long, one of a million within a KiB a sensor.
const (
	windowBudget = 32 << 20
	longHorizon  = 15 * 60_000
	shortHorizon = 30_000
)

func (t *task) horizon() int64 {
	if t.windows < windowBudget {
		return longHorizon
	}
	return shortHorizon
}

// undecodable sorts the codec's errors.
func undecodable(err error) error {
	switch {
	case errors.Is(err, schemas.ErrRegistry):
		return stream.Transient(err)
	case errors.Is(err, schemas.ErrFrame):
		return &stream.Poison{Reason: "frame", Err: err}
	case errors.Is(err, schemas.ErrUnknownSchema):
		return &stream.Poison{Reason: "unknown_schema", Err: err}
	}
	return &stream.Poison{Reason: "body", Err: err}
}

// sensor gives a sensor's state with its limits as the directory has them now.
func (t *task) sensor(id plant.ID) *sensor {
	s := t.sensors[id]
	if s == nil {
		s = &sensor{id: id}
		t.sensors[id] = s
		t.windows += s.replay.Size()
	}
	if changes := t.deps.Directory.Changes(); s.cfg == nil || s.seen != changes {
		d, _ := t.deps.Directory.SensorByID(id)
		s.cfg, s.seen = sensorConfig(d), changes
	}
	return s
}

func (t *task) line(tenant, id plant.ID) *line {
	l := t.lines[id]
	if l == nil {
		l = &line{tenant: tenant, id: id}
		t.lines[id] = l
	}
	if changes := t.deps.Directory.Changes(); l.cfg == nil || l.seen != changes {
		d, _ := t.deps.Directory.LineByID(id)
		l.cfg, l.seen = lineConfig(d), changes
	}
	return l
}

func (t *task) touch(l *line) {
	if !l.touched {
		l.touched = true
		t.touched = append(t.touched, l)
	}
}

// anomaly adds a finding to the output.
func (t *task) anomaly(x *plant.Reading, f anomaly.Finding, offset int64) error {
	a := plant.Anomaly{
		Tenant: x.Tenant, Line: x.Line, Sensor: x.Sensor, Kind: f.Kind, TS: x.TS, Since: f.Since, Value: x.Value,
		Expected: f.Expected, Score: f.Score, Partition: t.slot.Partition, Offset: offset, Ended: f.Ended,
	}
	a.ID = plant.NameID(x.Sensor, f.Kind.String(), fmt.Sprint(t.slot.Partition), fmt.Sprint(offset))
	if !f.Ended { // an end is news for who watches alarms, no row of findings
		t.anomalies.Append(&a)
		t.counts.anomalies++
	}
	v, err := t.deps.Codec.AppendAnomaly(nil, &a)
	if err != nil {
		return err
	}
	key := x.Key()
	t.messages = append(t.messages, broker.Message{Topic: broker.TopicAnomalies, Key: key[:], Value: v})
	return nil
}

// emit gives the function that takes a line's parts.
func (t *task) emit(l *line) oee.Emit {
	return func(p *plant.OEEPart) {
		p.Tenant, p.Line = l.tenant, l.id
		t.parts.Append(p, t.slot.Partition)
		t.counts.parts++
		v, err := t.deps.Codec.AppendOEEPart(nil, p)
		if err != nil {
			panic(fmt.Sprintf("a part of our own does not fit our own schema: %v", err))
		}
		t.messages = append(t.messages, broker.Message{Topic: broker.TopicOEE, Key: append([]byte(nil), l.id[:]...), Value: v})
	}
}

// sum adds a reading to its minute.
func (t *task) sum(s *sensor, x *plant.Reading) {
	if x.Tenant != s.tenant || x.Line != s.line {
		// The sensor moved to another line: its readings there are summed apart.
		t.handOut(s)
		s.tenant, s.line = x.Tenant, x.Line
	}
	if m, ok := s.minute.Add(x.TS, x.Value, x.Quality != plant.QualityBad); ok {
		t.minutes.Append(&s.tenant, &s.line, &s.id, &m)
	}
	if !s.open {
		s.open = true
		t.open = append(t.open, s)
	}
}

// handOut gives out what a sensor's open minute holds.
func (t *task) handOut(s *sensor) {
	if m, ok := s.minute.Take(); ok {
		t.minutes.Append(&s.tenant, &s.line, &s.id, &m)
	}
}

// busyBatch is the number of records at which a batch says that the slot is
// under load. Then minutes are handed out when they are over, a sixtieth of the
// rows at a reading a second; otherwise with each batch, so that the rollups are
// as fresh as the readings. The number follows from the batch's bounds, so a
// repetition does the same.
const busyBatch = 20_000

// Settle closes the minutes of the lines that the batch touched, and hands out
// the sensors' open minutes unless the slot is busy.
func (t *task) Settle(b stream.Batch) error {
	records := int64(0)
	for i := range b.To {
		records += b.To[i] - b.From[i]
	}
	if records < busyBatch {
		for _, s := range t.open {
			t.handOut(s)
			s.open = false
		}
		t.open = t.open[:0]
	}
	for _, l := range t.touched {
		l.ledger.Advance(l.cfg, t.emit(l))
		l.touched = false
	}
	t.touched = t.touched[:0]
	return nil
}

// Flush makes the batch durable: dead letters, anomalies and parts on Kafka, the
// rows in ClickHouse.
func (t *task) Flush(ctx context.Context, b stream.Batch) error {
	msgs := t.messages[:len(t.messages):len(t.messages)]
	for i := range b.Dead {
		m, err := t.deadLetter(&b, &b.Dead[i])
		if err != nil {
			return err
		}
		msgs = append(msgs, m)
	}
	if err := t.deps.Publisher.Publish(ctx, msgs); err != nil {
		return stream.Transient(err)
	}
	for _, block := range []sink.Block{t.readings, t.minutes, t.events, t.anomalies, t.parts} {
		err := t.deps.Sink.Insert(ctx, block, token(block.Table(), &b))
		if clickhouse.IsTransient(err) {
			return stream.Transient(err)
		}
		if err != nil {
			return err
		}
	}
	t.deps.Metrics.add(&t.counts)
	t.Discard()
	return nil
}

// token names an insert: the same batch of the same job always has the same.
// Rows of a table can come from either input (a reading closes a minute), so it
// names both ranges.
func token(table string, b *stream.Batch) string {
	name := fmt.Sprintf("%s/g%d/p%d", table, b.Slot.Generation, b.Slot.Partition)
	for i, in := range b.Slot.Inputs {
		name += fmt.Sprintf("/%x:%d-%d", in.ID, b.From[i], b.To[i])
	}
	return name
}

// Discard empties the output.
func (t *task) Discard() {
	t.readings.Reset()
	t.events.Reset()
	t.anomalies.Reset()
	t.parts.Reset()
	t.minutes.Reset()
	t.messages, t.counts = nil, counts{}
}

// Unsettled says that minutes are held back.
func (t *task) Unsettled() bool { return len(t.open) > 0 }

// Release has nothing to give back.
func (t *task) Release() {}
