package masterdata

import (
	"context"
	"fmt"
	"strings"
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
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		marks := make([]any, len(values))
		for i, v := range values {
			args = append(args, v)
			marks[i] = fmt.Sprintf("$%d", len(args))
		}
		where = append(where, fmt.Sprintf(condition, marks...))
	}
	if len(f.States) > 0 {
		add("state = ANY(%s)", f.States)
	}
	if !f.Line.IsZero() {
		add("line_id = %s", f.Line)
	}
	if !f.Sensor.IsZero() {
		add("sensor_id = %s", f.Sensor)
	}
	if f.Kind != "" {
		add("kind = %s", f.Kind)
	}
	if !f.From.IsZero() {
		add("since >= %s", f.From)
	}
	if !f.To.IsZero() {
		add("since < %s", f.To)
	}
	if !f.BeforeSince.IsZero() {
		add("(since, id) < (%s, %s)", f.BeforeSince, f.BeforeID)
	}
	q := ""
	if len(where) > 0 {
		q = " WHERE " + strings.Join(where, " AND ")
	}
	err = x.s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		list, err = x.query(ctx, tx, fmt.Sprintf("%s ORDER BY since DESC, id DESC LIMIT %d", q, f.Limit+1), args...)
		return err
	})
	if more = len(list) > f.Limit; more {
		list = list[:f.Limit]
	}
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
