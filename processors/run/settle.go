package run

import (
	"fmt"
	"math"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/anomaly"
	"github.com/foodflow/foodflow/processors/oee"
	"github.com/foodflow/foodflow/processors/window"
)

// When minutes are handed out. A batch of busyBatch records says that the slot is
// under load: then they go when they are over, a sixtieth of the rows at a
// reading a second: by the sensor's first reading of another minute, or where none
// comes, for a cable may have broken, within lingerMS and sweepEvery of the
// broker's time after their end. Otherwise they go every five seconds of the broker's time,
// since each insert of minutes costs ClickHouse three parts, and with an empty
// batch, which says that nothing more comes. All of that follows from the batch's
// bounds and records, so a repetition does the same.
const (
	busyBatch    = 20_000
	handOutEvery = 5_000 // ms
	lingerMS     = 20_000
	sweepEvery   = 20_000 // ms
)

// Settle scores and sums up the batch's readings, closes the minutes of the
// lines that it touched, and hands out the sensors' open minutes when it is time.
func (t *task) Settle(b stream.Batch) error {
	if err := t.settleReadings(); err != nil {
		return err
	}
	records := int64(0)
	for i := range b.To {
		records += b.To[i] - b.From[i]
	}
	switch since := t.now - t.handed; {
	case records == 0, records < busyBatch && since >= handOutEvery:
		t.handOutOpen(math.MaxInt64)
	case since >= sweepEvery && !t.unswept:
		t.handOutOpen(t.now - lingerMS)
	}
	for _, l := range t.touched {
		l.ledger.Advance(l.cfg, t.emit(l))
		l.touched = false
	}
	t.touched = t.touched[:0]
	return nil
}

// handOutOpen hands out the open minutes that are over at a time. Each sensor
// that stays open has had a reading since about then, so the walk costs little
// beside those.
func (t *task) handOutOpen(at int64) {
	t.handed = t.now
	kept := t.open[:0]
	for _, i := range t.open {
		s := t.sensors.at(i)
		if s.open = s.minute.OpenAt(at); s.open {
			kept = append(kept, i)
			continue
		}
		t.handOut(s)
	}
	t.open = kept
}

// settleReadings takes what is staged: sensor by sensor through the windows,
// then in order of arrival to the lines' ledgers.
func (t *task) settleReadings() error {
	t.sensors.arrange(t.batch)
	for _, r := range t.batch {
		if err := t.settleSensor(r.i); err != nil {
			return err
		}
	}
	for i := range t.staged {
		if x := &t.staged[i]; x.verdict != window.Copy {
			t.signal(t.sensors.at(x.sensor), x.ts)
		}
	}
	t.staged, t.batch = t.staged[:0], t.batch[:0]
	return nil
}

// settleSensor drops the copies among a sensor's readings, scores the others,
// adds them to their minutes and makes their rows.
func (t *task) settleSensor(i int32) error {
	s := t.sensors.at(i)
	cfg := t.configs.of(s)
	horizon, before := t.horizon(), s.replay.Size()
	x := plant.Reading{Tenant: s.tenant, Line: s.lineID, Sensor: s.id}
	for n := s.first; n != noStaged; n = t.staged[n].next {
		g := &t.staged[n]
		x.TS, x.Value, x.Quality, x.Seq = g.ts, g.value, g.quality, g.seq
		ts, word := x.Identity()
		switch g.verdict = s.replay.See(ts, word, horizon); g.verdict {
		case window.Copy:
			t.counts.copies++
			continue
		case window.Unknown:
			t.counts.unknown++
		case window.New:
		}
		g.score = s.detector.Observe(cfg, x.TS, t.now, x.Value, x.Quality, &t.found)
		if m, ok := s.minute.Add(x.TS, x.Value, x.Quality != plant.QualityBad); ok {
			t.minutes.Append(&s.tenant, &s.lineID, &s.id, &m)
		}
		for _, f := range t.found.All() {
			if err := t.anomaly(&x, f, g.offset, s.detector.Epoch()); err != nil {
				return err
			}
		}
		t.readings.Append(&x, g.score, t.slot.Partition, g.offset)
		t.counts.readings++
	}
	t.windows += s.replay.Size() - before
	s.first = noStaged
	if !s.open && s.minute.Open() {
		s.open = true
		t.open = append(t.open, i)
	}
	return nil
}

// signal tells a sensor's line that it lives, once a second of the device's
// time.
func (t *task) signal(s *sensor, ts int64) {
	if s.line == nil {
		if s.lineID.IsZero() {
			return
		}
		s.line = t.line(s.tenant, s.lineID)
	}
	l, second := s.line, ts/1000
	if second == l.sign {
		return
	}
	l.sign = second
	t.refresh(l)
	l.ledger.Signal(ts)
	t.touch(l)
}

// handOut gives out what a sensor's open minute holds.
func (t *task) handOut(s *sensor) {
	if m, ok := s.minute.Take(); ok {
		t.minutes.Append(&s.tenant, &s.lineID, &s.id, &m)
	}
}

// anomaly adds a finding to the output.
func (t *task) anomaly(x *plant.Reading, f anomaly.Finding, offset, epoch int64) error {
	a := plant.Anomaly{
		Tenant: x.Tenant, Line: x.Line, Sensor: x.Sensor, Kind: f.Kind, TS: x.TS, Since: f.Since, Value: x.Value,
		Expected: f.Expected, Score: f.Score, TopicID: t.slot.Inputs[inputReadings].ID, Partition: t.slot.Partition, Offset: offset, Ended: f.Ended, Epoch: epoch,
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
	if f.Kind.IsLimit() {
		t.limits = append(t.limits, limitMessage{limitOf{x.Sensor, f.Kind}, len(t.messages)})
	}
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
