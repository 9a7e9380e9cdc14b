package masterdata

import (
	"context"
	"time"

	"github.com/foodflow/foodflow/internal/alarm"
	"github.com/foodflow/foodflow/internal/plant"
)

// Suppress tells the alarms of a line whether its state makes them meaningless,
// and gives whether they are suppressed now: what the line said before the newest
// that is known is not news. at is the line's time of it, received the broker's,
// both Unix milliseconds.
//
// A state can't be from after it was received, so that is what counts where the
// line's clock is ahead. One that was ten seconds ahead (what the detector takes for
// a fast clock of a sensor) tells nothing of the order of what follows; then that is
// taken as it comes.
func (x Alarms) Suppress(ctx context.Context, tenant, line plant.ID, on bool, at, received int64) (holds bool, names []string, err error) {
	err = x.s.write(ctx, System(tenant), func(ctx context.Context, w *writing) error {
		if _, err := w.tx.Exec(ctx, `INSERT INTO alarm_suppressions AS s (line_id, suppressed, at, told) VALUES ($1, $2, $3, $4)
			ON CONFLICT (line_id) DO UPDATE SET suppressed = $2, at = $3, told = $4
			WHERE (s.at, s.told) < ($3, $4) OR s.told > s.at + interval '10 seconds'`,
			line, on, time.UnixMilli(min(at, received)), time.UnixMilli(at)); err != nil {
			return x.r.refused("suppressing", err)
		}
		if holds, err = suppressed(ctx, w, line); err != nil {
			return err
		}
		in := alarm.Input{Action: alarm.Unsuppress}
		if holds {
			in.Action = alarm.Suppress
		}
		names, err = x.each(ctx, w, in, "line_id = $1 AND suppressed <> $2", line, holds)
		return err
	})
	return holds, names, err
}

// each applies an input to all alarms for which a condition holds.
func (x Alarms) each(ctx context.Context, w *writing, in alarm.Input, where string, args ...any) (names []string, err error) {
	list, err := x.query(ctx, w.tx, " WHERE "+where+" ORDER BY id FOR UPDATE", args...)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		n, err := x.apply(ctx, w, a, in, "", false)
		if err != nil {
			return nil, err
		}
		names = append(names, n...)
	}
	return names, nil
}
