package masterdata

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/alarm"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Alarm is one limit of one sensor that was passed at some time, and what holds
// of it now.
type Alarm struct {
	Meta
	SensorID     plant.ID   `json:"sensor_id" format:"uuid"`
	LineID       *plant.ID  `json:"line_id" format:"uuid" doc:"the sensor's line at the latest occurrence; null: none"`
	Kind         string     `json:"kind" enum:"limit_ll,limit_l,limit_h,limit_hh,range,rate" example:"limit_hh"`
	State        string     `json:"state" enum:"active,acknowledged,cleared,normal,shelved,suppressed,out_of_service" doc:"the strongest of what holds: active (there, not acknowledged), acknowledged (there), cleared (gone, not acknowledged), normal (gone, acknowledged)"`
	Present      bool       `json:"present" doc:"the condition is there, whatever hides it"`
	Acked        bool       `json:"acknowledged" doc:"the latest occurrence was acknowledged"`
	Since        time.Time  `json:"since" doc:"when the latest occurrence began, by the sensor's clock"`
	Until        *time.Time `json:"until" doc:"when it ended; null while it lasts"`
	Occurrences  int64      `json:"occurrences" example:"3"`
	Shelf        string     `json:"shelf" enum:",timed,one_shot" doc:"how it is put aside; empty: it is not"`
	ShelvedUntil *time.Time `json:"shelved_until" doc:"of a timed shelf"`
	Suppressed   bool       `json:"suppressed" doc:"by design: the line is being cleaned or maintained"`
	OutOfService bool       `json:"out_of_service"`
	Value        float64    `json:"value" doc:"what the reading showed that raised it" example:"96.4"`
	Bound        float64    `json:"limit" doc:"the limit that it passed" example:"95"`
	Actor        string     `json:"actor" doc:"who made the latest transition" example:"system"`
	Comment      string     `json:"comment" doc:"what was said with it"`
	seen         time.Time
}

// Alarms gives the operations on alarms.
func (s *Store) Alarms() Alarms { return Alarms{s, alarmResource()} }

// Alarms is the operations on alarms.
type Alarms struct {
	s *Store
	r *resource[Alarm]
}

func alarmResource() *resource[Alarm] {
	return &resource[Alarm]{
		table: "alarms", aggregate: "alarm", noun: "Alarm",
		columns: []string{
			"sensor_id", "line_id", "kind", "state", "present", "acked", "since", "until", "seen", "occurrences", "shelf", "shelved_until",
			"suppressed", "out_of_service", "value", "bound", "actor", "comment",
		},
		meta: func(a *Alarm) *Meta { return &a.Meta },
		bind: func(a *Alarm) []any {
			return []any{
				&a.SensorID, &a.LineID, &a.Kind, &a.State, &a.Present, &a.Acked, &a.Since, &a.Until, &a.seen, &a.Occurrences, &a.Shelf, &a.ShelvedUntil,
				&a.Suppressed, &a.OutOfService, &a.Value, &a.Bound, &a.Actor, &a.Comment,
			}
		},
		load: func(_ context.Context, _ pgx.Tx, list []*Alarm) error {
			for _, a := range list {
				a.utc()
			}
			return nil
		},
	}
}

func (a *Alarm) utc() {
	a.Since, a.seen = a.Since.UTC(), a.seen.UTC()
	for _, t := range []*time.Time{a.Until, a.ShelvedUntil} {
		if t != nil {
			*t = t.UTC()
		}
	}
}

// machine gives the alarm as the state machine knows it.
func (a *Alarm) machine() alarm.Alarm {
	return alarm.Alarm{
		Present: a.Present, Acked: a.Acked, Since: millis(&a.Since), Until: millis(a.Until), Seen: millis(&a.seen), Occurrences: a.Occurrences,
		Shelf: alarm.Shelf(a.Shelf), ShelvedUntil: millis(a.ShelvedUntil), Suppressed: a.Suppressed, OutOfService: a.OutOfService,
	}
}

// take takes what the state machine made of it.
func (a *Alarm) take(m *alarm.Alarm) {
	a.State, a.Present, a.Acked, a.Occurrences = string(m.State()), m.Present, m.Acked, m.Occurrences
	a.Since, a.seen, a.Until, a.ShelvedUntil = time.UnixMilli(m.Since).UTC(), time.UnixMilli(m.Seen).UTC(), instant(m.Until), instant(m.ShelvedUntil)
	a.Shelf, a.Suppressed, a.OutOfService = string(m.Shelf), m.Suppressed, m.OutOfService
}

func millis(t *time.Time) int64 {
	if t == nil || t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}

// Signal is what the stream says of a limit: passed, or (Ended) kept again.
type Signal struct {
	Sensor, Line plant.ID // zero Line: none
	Kind         plant.AnomalyKind
	At, Since    int64 // Unix milliseconds
	Value, Limit float64
	Ended        bool
}

// Signal takes what the stream says and gives the transitions that it made.
// Saying it again makes none.
func (x Alarms) Signal(ctx context.Context, tenant plant.ID, g Signal) (names []string, err error) {
	err = x.s.write(ctx, System(tenant), func(ctx context.Context, w *writing) error {
		id := plant.NameID(g.Sensor, "alarm", g.Kind.String())
		a, err := x.r.get(ctx, w.tx, id.String(), " FOR UPDATE")
		fresh := fault.KindOf(err) == fault.NotFound
		switch {
		case fresh && g.Ended:
			return nil
		case fresh:
			if a, err = x.first(ctx, w, id, &g); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		in := alarm.Input{Action: alarm.Raise, At: g.At, Since: g.Since}
		if g.Ended {
			in.Action = alarm.Clear
		} else if !a.Present {
			a.Value, a.Bound, a.LineID = g.Value, g.Limit, optional(g.Line)
		}
		names, err = x.apply(ctx, w, a, in, "", fresh)
		return err
	})
	return names, err
}

// first makes the alarm of a limit that was never passed before.
func (x Alarms) first(ctx context.Context, w *writing, id plant.ID, g *Signal) (*Alarm, error) {
	a := &Alarm{SensorID: g.Sensor, Kind: g.Kind.String()}
	a.ID = id
	m := alarm.New()
	err := w.tx.QueryRow(ctx, "SELECT suppressed FROM alarm_suppressions WHERE line_id = $1", g.Line).Scan(&m.Suppressed)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("reading suppression: %w", err)
	}
	a.take(&m)
	return a, nil
}

// apply runs the state machine and writes what came of it, with one event a
// transition.
func (x Alarms) apply(ctx context.Context, w *writing, a *Alarm, in alarm.Input, comment string, fresh bool) ([]string, error) {
	m := a.machine()
	names, err := m.Apply(in, w.now.UnixMilli())
	var illegal *alarm.Illegal
	if errors.As(err, &illegal) {
		return nil, fault.New(fault.Conflict, "%s", illegal.Error())
	}
	if err != nil || len(names) == 0 {
		return nil, err // a repetition is not worth a write
	}
	a.take(&m)
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

// Act does what a person asks of an alarm.
func (x Alarms) Act(ctx context.Context, who Actor, id string, expected int64, in alarm.Input, comment string) (a *Alarm, err error) {
	err = x.s.write(ctx, who, func(ctx context.Context, w *writing) error {
		if a, err = x.r.get(ctx, w.tx, id, " FOR UPDATE"); err != nil {
			return err
		}
		if expected != AnyVersion && expected != a.Version {
			return fault.New(fault.PreconditionFailed, "the alarm is at version %d", a.Version)
		}
		_, err := x.apply(ctx, w, a, in, comment, false)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Suppress tells the alarms of a line whether its state makes them meaningless,
// and gives whether they are suppressed now: what the line said before the newest
// that is known is not news.
func (x Alarms) Suppress(ctx context.Context, tenant, line plant.ID, on bool, at int64) (holds bool, names []string, err error) {
	err = x.s.write(ctx, System(tenant), func(ctx context.Context, w *writing) error {
		if _, err := w.tx.Exec(ctx, `INSERT INTO alarm_suppressions AS s (line_id, suppressed, at) VALUES ($1, $2, $3)
			ON CONFLICT (line_id) DO UPDATE SET suppressed = $2, at = $3 WHERE s.at < $3`, line, on, time.UnixMilli(at)); err != nil {
			return x.r.refused("suppressing", err)
		}
		if err := w.tx.QueryRow(ctx, "SELECT suppressed FROM alarm_suppressions WHERE line_id = $1", line).Scan(&holds); err != nil {
			return fmt.Errorf("reading suppression: %w", err)
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

// EndShelves ends the timed shelves of a tenant whose time is over, and gives
// how many.
func (x Alarms) EndShelves(ctx context.Context, tenant plant.ID) (n int, err error) {
	due := false
	if err := x.s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM alarms WHERE shelf = 'timed' AND shelved_until <= $1)", x.s.stamp()).Scan(&due)
	}); err != nil || !due {
		return 0, err
	}
	err = x.s.write(ctx, System(tenant), func(ctx context.Context, w *writing) error {
		names, err := x.each(ctx, w, alarm.Input{Action: alarm.Tick}, "shelf = 'timed' AND shelved_until <= $1", w.now)
		n = len(names)
		return err
	})
	return n, err
}

// EndAllShelves does EndShelves in every tenant that works; one tenant's fault
// doesn't keep the others' alarms on their shelves.
func (x Alarms) EndAllShelves(ctx context.Context) (n int, err error) {
	for after, more := "", true; more; {
		var list []*Tenant
		var failed error
		if list, more, failed = x.s.Tenants(ctx, after, MaxPage); failed != nil {
			return n, errors.Join(err, failed)
		}
		for _, t := range list {
			after = t.Key
			if t.State != TenantActive {
				continue
			}
			ended, failed := x.EndShelves(ctx, t.ID)
			n, err = n+ended, errors.Join(err, failed)
		}
	}
	return n, err
}
