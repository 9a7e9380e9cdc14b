package masterdata

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/plant"
)

// AlarmFilter narrows a list of alarms; zero fields are no condition. Pages go
// from the newest occurrence to the oldest and continue behind (BeforeSince,
// BeforeID).
type AlarmFilter struct {
	States      []string
	Line        plant.ID
	Sensor      plant.ID
	Kind        string
	From, To    time.Time // of Since
	BeforeSince time.Time
	BeforeID    plant.ID
	Limit       int
}

// Get reads one alarm.
func (x Alarms) Get(ctx context.Context, tenant plant.ID, id string) (a *Alarm, err error) {
	err = x.s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		a, err = x.r.get(ctx, tx, id, "")
		return err
	})
	return a, err
}

// List reads a page; more says that another follows.
func (x Alarms) List(ctx context.Context, tenant plant.ID, f AlarmFilter) (list []*Alarm, more bool, err error) {
	f.Limit = min(max(f.Limit, 1), MaxPage)
	var c conditions
	if len(f.States) > 0 {
		c.add("state = ANY(%s)", f.States)
	}
	if !f.Line.IsZero() {
		c.add("line_id = %s", f.Line)
	}
	if !f.Sensor.IsZero() {
		c.add("sensor_id = %s", f.Sensor)
	}
	if f.Kind != "" {
		c.add("kind = %s", f.Kind)
	}
	c.span("since", f.From, f.To)
	if !f.BeforeSince.IsZero() {
		c.add("(since, id) < (%s, %s)", f.BeforeSince, f.BeforeID)
	}
	err = x.s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		list, err = x.query(ctx, tx, fmt.Sprintf("%s ORDER BY since DESC, id DESC LIMIT %d", c.where(), f.Limit+1), c.args...)
		return err
	})
	list, more = cutPage(list, f.Limit)
	return list, more, err
}

func (x Alarms) query(ctx context.Context, tx pgx.Tx, rest string, args ...any) ([]*Alarm, error) {
	rows, err := tx.Query(ctx, x.r.selectSQL()+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("listing alarms: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Alarm, error) {
		a := new(Alarm)
		err := row.Scan(x.r.targets(a)...)
		a.utc()
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing alarms: %w", err)
	}
	return list, nil
}
