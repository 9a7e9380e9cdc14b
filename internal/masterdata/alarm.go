package masterdata

import (
	"context"
	"errors"
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
	epoch        int64
	places       []alarm.Place
	chatter      alarm.Chatter
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
			"suppressed", "out_of_service", "value", "bound", "actor", "comment", "epoch", "places",
			"folded", "told", "told_since",
		},
		meta: func(a *Alarm) *Meta { return &a.Meta },
		bind: func(a *Alarm) []any {
			return []any{
				&a.SensorID, &a.LineID, &a.Kind, &a.State, &a.Present, &a.Acked, &a.Since, &a.Until, &a.seen, &a.Occurrences, &a.Shelf, &a.ShelvedUntil,
				&a.Suppressed, &a.OutOfService, &a.Value, &a.Bound, &a.Actor, &a.Comment, &a.epoch, &a.places,
				&a.chatter.Folded, &a.chatter.Told, &a.chatter.Since,
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
	m := alarm.Alarm{
		Present: a.Present, Acked: a.Acked, Since: millis(&a.Since), Until: millis(a.Until), Seen: millis(&a.seen), Epoch: a.epoch, Occurrences: a.Occurrences,
		Shelf: alarm.Shelf(a.Shelf), ShelvedUntil: millis(a.ShelvedUntil), Suppressed: a.Suppressed, OutOfService: a.OutOfService,
	}
	copy(m.Places[:], a.places)
	return m
}

// take takes what the state machine made of it.
func (a *Alarm) take(m *alarm.Alarm) {
	a.State, a.Present, a.Acked, a.Occurrences = string(m.State()), m.Present, m.Acked, m.Occurrences
	a.Since, a.seen, a.Until, a.ShelvedUntil = time.UnixMilli(m.Since).UTC(), time.UnixMilli(m.Seen).UTC(), instant(m.Until), instant(m.ShelvedUntil)
	a.Shelf, a.Suppressed, a.OutOfService = string(m.Shelf), m.Suppressed, m.OutOfService
	a.epoch, a.places = m.Epoch, []alarm.Place{} // null is no list
	for _, p := range m.Places {
		if !p.TopicID.IsZero() {
			a.places = append(a.places, p)
		}
	}
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

// Act does what a person asks of an alarm.
func (x Alarms) Act(ctx context.Context, who Actor, id string, expected int64, in alarm.Input, comment string) (a *Alarm, err error) {
	err = x.s.write(ctx, who, func(ctx context.Context, w *writing) error {
		if a, err = x.r.get(ctx, w.tx, id, " FOR UPDATE"); err != nil {
			return err
		}
		if expected != AnyVersion && expected != a.Version {
			return fault.New(fault.PreconditionFailed, "the alarm is at version %d", a.Version)
		}
		_, err := x.apply(ctx, w, a, in, comment)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// EndShelves ends the timed shelves of a tenant whose time is over, and gives
// how many.
func (x Alarms) EndShelves(ctx context.Context, tenant plant.ID) (n int, err error) {
	err = x.due(ctx, tenant, " WHERE shelf = 'timed' AND shelved_until <= $1", x.s.stamp(), func(ctx context.Context, w *writing, list []*Alarm) error {
		n = 0
		for _, a := range list {
			names, err := x.apply(ctx, w, a, alarm.Input{Action: alarm.Tick}, "")
			if err != nil {
				return err
			}
			n += len(names)
		}
		return nil
	})
	return n, err
}

// TellFolded tells how alarms stand that came and went too often to tell each time,
// where the last word of them is a minute old, and gives how many.
func (x Alarms) TellFolded(ctx context.Context, tenant plant.ID) (n int, err error) {
	before := x.s.stamp().UnixMilli() - alarm.ChatterWindow.Milliseconds()
	err = x.due(ctx, tenant, " WHERE folded > 0 AND told_since <= $1", before, func(ctx context.Context, w *writing, list []*Alarm) error {
		h := &hearing{x: x, w: w}
		for _, a := range list {
			name := "AlarmCleared"
			if a.Present {
				name = "AlarmRaised"
			}
			t := &told{Alarm: *a, changed: true}
			t.Actor, t.Comment, t.Version, t.UpdatedAt = w.who.Name, "", a.Version+1, w.now
			if err := h.announce(ctx, t, name, a.chatter.Folded); err != nil {
				return err
			}
			t.chatter.Flush(w.now.UnixMilli())
			h.order = append(h.order, t)
		}
		n = len(list)
		return h.write(ctx)
	})
	return n, err
}

// due does something to the alarms of a tenant that time has brought to a condition.
// Most often there are none, which is found out without a writer's lock.
func (x Alarms) due(ctx context.Context, tenant plant.ID, where string, by any, do func(ctx context.Context, w *writing, list []*Alarm) error) error {
	some := false
	if err := x.s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM alarms"+where+")", by).Scan(&some)
	}); err != nil || !some {
		return err
	}
	return x.s.write(ctx, System(tenant), func(ctx context.Context, w *writing) error {
		list, err := x.query(ctx, w.tx, where+" ORDER BY id FOR UPDATE", by)
		if err != nil {
			return err
		}
		return do(ctx, w, list)
	})
}

// Tick does in every tenant that works what time brings: EndShelves and TellFolded.
// One tenant's fault doesn't keep back the others'.
func (x Alarms) Tick(ctx context.Context) (ended, toldOf int, err error) {
	for after, more := "", true; more; {
		var list []*Tenant
		var failed error
		if list, more, failed = x.s.Tenants(ctx, after, MaxPage); failed != nil {
			return ended, toldOf, errors.Join(err, failed)
		}
		for _, t := range list {
			after = t.Key
			if t.State != TenantActive {
				continue
			}
			n, failed := x.EndShelves(ctx, t.ID)
			m, unsaid := x.TellFolded(ctx, t.ID)
			ended, toldOf, err = ended+n, toldOf+m, errors.Join(err, failed, unsaid)
		}
	}
	return ended, toldOf, err
}
