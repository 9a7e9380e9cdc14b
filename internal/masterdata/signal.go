package masterdata

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/alarm"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Signal is what the stream says of a limit: passed, or (Ended) kept again.
type Signal struct {
	Sensor, Line plant.ID // zero Line: none
	Kind         plant.AnomalyKind
	At, Since    int64 // Unix milliseconds
	Value, Limit float64
	Ended        bool
	// Place is where the reading lies that shows it, Epoch the sensor's under which
	// it was found; without the place's topic neither is known.
	Place alarm.Place
	Epoch int64
}

// Signal takes what the stream says and gives the transitions that it made.
// Saying it again makes none, nor does what was found on a line that the sensor has
// left, or under an epoch of it that is over.
func (x Alarms) Signal(ctx context.Context, tenant plant.ID, g Signal) (names []string, err error) {
	err = x.s.write(ctx, System(tenant), func(ctx context.Context, w *writing) error {
		holds, err := x.current(ctx, w, &g)
		if err != nil || !holds {
			return err
		}
		id := alarmID(g.Sensor, g.Kind.String())
		a, err := x.r.get(ctx, w.tx, id.String(), " FOR UPDATE")
		fresh := fault.KindOf(err) == fault.NotFound
		switch {
		case fresh && g.Ended:
			return nil
		case fresh:
			a = &Alarm{SensorID: g.Sensor, Kind: g.Kind.String()}
			m := alarm.New()
			a.ID = id
			a.take(&m)
		case err != nil:
			return err
		}
		names, err = x.signal(ctx, w, a, &g, fresh)
		return err
	})
	return names, err
}

func alarmID(sensor plant.ID, kind string) plant.ID { return plant.NameID(sensor, "alarm", kind) }

// current says whether a signal is of the sensor as it is now.
func (x Alarms) current(ctx context.Context, w *writing, g *Signal) (bool, error) {
	var line *plant.ID
	var epoch int64
	err := w.tx.QueryRow(ctx, "SELECT line_id, epoch FROM sensors WHERE id = $1", g.Sensor).Scan(&line, &epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		if g.Ended { // its alarms ended with it
			return false, nil
		}
		return false, fault.NewInvalid(fault.Item{Location: "sensor_id", Rule: "unknown", Message: "names nothing that exists"})
	}
	if err != nil {
		return false, fmt.Errorf("reading the sensor of an alarm: %w", err)
	}
	return g.Line == at(line) && (g.Place.TopicID.IsZero() || g.Epoch >= epoch), nil
}

// signal tells an alarm. One that is raised on another line than before is
// suppressed or not as that line is; the transition to it is no news of its own.
func (x Alarms) signal(ctx context.Context, w *writing, a *Alarm, g *Signal, fresh bool) ([]string, error) {
	in := alarm.Input{Action: alarm.Raise, At: g.At, Since: g.Since, Place: g.Place, Epoch: g.Epoch}
	switch {
	case g.Ended:
		in.Action = alarm.Clear
	case !a.Present:
		if fresh || at(a.LineID) != g.Line {
			var err error
			if a.Suppressed, err = suppressed(ctx, w, g.Line); err != nil {
				return nil, err
			}
		}
		a.Value, a.Bound, a.LineID = g.Value, g.Limit, optional(g.Line)
	}
	return x.apply(ctx, w, a, in, "", fresh)
}

// suppressed says whether a line is in a state in which its alarms mean nothing.
func suppressed(ctx context.Context, w *writing, line plant.ID) (on bool, err error) {
	err = w.tx.QueryRow(ctx, "SELECT suppressed FROM alarm_suppressions WHERE line_id = $1", line).Scan(&on)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("reading suppression: %w", err)
	}
	return on, nil
}

// apply runs the state machine and writes what came of it, with one event a
// transition.
func (x Alarms) apply(ctx context.Context, w *writing, a *Alarm, in alarm.Input, comment string, fresh bool) ([]string, error) {
	m := a.machine()
	before := m
	names, err := m.Apply(in, w.now.UnixMilli())
	var illegal *alarm.Illegal
	if errors.As(err, &illegal) {
		return nil, fault.New(fault.Conflict, "%s", illegal.Error())
	}
	if err != nil || m == before {
		return nil, err // a repetition is not worth a write
	}
	a.take(&m)
	if len(names) == 0 { // only where it was heard of last has moved on: no new version
		if !fresh {
			err = x.heard(ctx, w, a)
		}
		return nil, err
	}
	a.Actor, a.Comment = w.who.Name, comment
	if fresh {
		err = x.r.insert(ctx, w, a)
	} else {
		err = x.r.put(ctx, w, a)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := w.record(ctx, change{x.r.aggregate, a.ID, name, a}); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// heard notes the place of what was said last.
func (x Alarms) heard(ctx context.Context, w *writing, a *Alarm) error {
	_, err := w.tx.Exec(ctx, "UPDATE alarms SET seen = $2, epoch = $3, places = $4 WHERE id = $1", a.ID, a.seen, a.epoch, a.places)
	if err != nil {
		return x.r.refused("changing", err)
	}
	return nil
}

// end ends what is there of a sensor's alarms of some kinds, for a reason that
// stands in the comment: the stream says nothing more of it.
func (x Alarms) end(ctx context.Context, w *writing, sensor plant.ID, epoch int64, kinds []string, why string) error {
	list, err := x.query(ctx, w.tx, " WHERE sensor_id = $1 AND kind = ANY($2) ORDER BY id FOR UPDATE", sensor, kinds)
	if err != nil {
		return err
	}
	for _, a := range list {
		if _, err := x.apply(ctx, w, a, alarm.Input{Action: alarm.End, Since: w.now.UnixMilli(), Epoch: epoch}, why, false); err != nil {
			return err
		}
	}
	return nil
}
