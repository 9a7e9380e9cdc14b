package run

import (
	"errors"

	"github.com/foodflow/foodflow/internal/letter"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/oee"
	"github.com/foodflow/foodflow/processors/window"
	"github.com/foodflow/foodflow/schemas"
)

// staged is a reading that waits for the end of its batch. Then the readings of
// one sensor are taken one after the other: its state is fetched into the
// processor's cache once for all of them, and the rows come out in the order in
// which ClickHouse stores them.
type staged struct {
	ts     int64
	value  float64
	seq    int64
	offset int64
	sensor int32 // its place in task.sensors
	next   int32 // of the same sensor, noStaged at the last
	score  float32
	// What the windows made of it.
	quality plant.Quality
	verdict window.Verdict
}

// Fold takes a reading or an event.
func (t *task) Fold(r *stream.Record) error {
	if overdue(r) {
		t.counts.copies++
		return nil
	}
	if r.Input == inputReadings {
		return t.foldReading(r)
	}
	return t.foldEvent(r)
}

// overdue says that a replay of a dead letter published the record when the letter
// was no longer its to publish: another one may have done so in between.
func overdue(r *stream.Record) bool {
	for i := range r.Headers {
		if r.Headers[i].Key == letter.HeaderKey {
			return letter.Overdue(r.Headers[i].Value, r.Timestamp)
		}
	}
	return false
}

func (t *task) foldReading(r *stream.Record) error {
	x := &t.reading
	if err := t.deps.Codec.DecodeReading(r.Value, x); err != nil {
		return undecodable(err)
	}
	t.now = max(t.now, r.Timestamp)
	i := t.sensor(x.Sensor)
	s := t.sensors.at(i)
	if x.Line != s.lineID || x.Tenant != s.tenant {
		if err := t.move(s, x.Tenant, x.Line); err != nil {
			return err
		}
	}
	n := int32(len(t.staged))
	t.staged = append(t.staged, staged{
		ts: x.TS, value: x.Value, seq: x.Seq, offset: r.Offset, sensor: i, next: noStaged, quality: x.Quality,
	})
	if s.first == noStaged {
		s.first = n
		t.batch = append(t.batch, t.sensors.rank(i))
	} else {
		t.staged[s.last].next = n
	}
	s.last = n
	return nil
}

// move enters a sensor that is new or goes to another line. What came from it
// before belongs to the line it was at.
func (t *task) move(s *sensor, tenant, line plant.ID) error {
	if s.first != noStaged {
		if err := t.settleReadings(); err != nil {
			return err
		}
	}
	t.handOut(s)
	s.tenant, s.lineID, s.line = tenant, line, nil
	return nil
}

func (t *task) foldEvent(r *stream.Record) error {
	e := &t.event
	if err := t.deps.Codec.DecodeLineEvent(r.Value, e); err != nil {
		return undecodable(err)
	}
	l := t.line(e.Tenant, e.Line)
	fresh, err := l.ledger.Event(e)
	if err != nil {
		if errors.Is(err, oee.ErrLate) {
			return &stream.Poison{Reason: "late", Err: err}
		}
		if errors.Is(err, oee.ErrFull) {
			return &stream.Poison{Reason: "full", Err: err}
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

// undecodable sorts the codec's errors.
func undecodable(err error) error {
	if reason := schemas.Reason(err); reason != "" {
		return &stream.Poison{Reason: reason, Err: err}
	}
	return stream.Transient(err)
}
