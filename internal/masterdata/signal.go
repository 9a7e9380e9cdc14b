package masterdata

import (
	"context"

	"github.com/foodflow/foodflow/internal/alarm"
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

func alarmID(sensor plant.ID, kind string) plant.ID { return plant.NameID(sensor, "alarm", kind) }

// apply runs the state machine on an alarm that has a row, and writes what came of
// it, with one event a transition.
func (x Alarms) apply(ctx context.Context, w *writing, a *Alarm, in alarm.Input, comment string) ([]string, error) {
	h, t := &hearing{x: x, w: w}, &told{Alarm: *a}
	h.order = []*told{t}
	if err := h.apply(ctx, t, in, comment); err != nil {
		return nil, err
	}
	if err := h.write(ctx); err != nil {
		return nil, err
	}
	*a = t.Alarm
	return h.names, nil
}

// end ends what is there of a sensor's alarms of some kinds, for a reason that
// stands in the comment: the stream says nothing more of it.
func (x Alarms) end(ctx context.Context, w *writing, sensor plant.ID, epoch int64, kinds []string, why string) error {
	list, err := x.query(ctx, w.tx, " WHERE sensor_id = $1 AND kind = ANY($2) ORDER BY id FOR UPDATE", sensor, kinds)
	if err != nil {
		return err
	}
	for _, a := range list {
		if _, err := x.apply(ctx, w, a, alarm.Input{Action: alarm.End, Since: w.now.UnixMilli(), Epoch: epoch}, why); err != nil {
			return err
		}
	}
	return nil
}
