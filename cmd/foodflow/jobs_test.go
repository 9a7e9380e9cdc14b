package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/alarm"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

// masters is a store of master data on a Postgres of its own.
type masters struct {
	*masterdata.Store
	db *postgres.DB
	m  *migrate.Migrator
	t  *testing.T
}

func newMasters(t *testing.T, now func() time.Time) masters {
	t.Helper()
	mc := migrate.DefaultConfig()
	mc.URL = testkit.Postgres(t)
	m, err := migrate.New(mc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Shared(t.Context()); err != nil {
		t.Fatal(err)
	}
	pc := postgres.DefaultConfig()
	pc.URL = mc.URL
	db, err := postgres.Open(context.Background(), pc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return masters{masterdata.New(db, now), db, m, t}
}

// plant makes a tenant with one sensor, on no line.
func (m masters) plant(key string) (tenant plant.ID, sensor plant.ID) {
	m.t.Helper()
	admin := masterdata.User{UserFields: masterdata.UserFields{Email: "a@" + key + ".example", Name: "A"}, Hash: "x"}
	t, err := m.Provision(m.t.Context(), m.m, masterdata.NewTenant{Key: key, Name: key, Admin: admin})
	if err != nil {
		m.t.Fatal(err)
	}
	x := masterdata.Sensor{SensorFields: masterdata.SensorFields{Key: "t", Name: "t", Unit: "degC", Kind: "temperature"}}
	if err := m.Sensors().Create(m.t.Context(), masterdata.System(t.ID), &x); err != nil {
		m.t.Fatal(err)
	}
	return t.ID, x.ID
}

// TestShelvesEndByThemselves: the upkeep of the api role ends a shelf whose time is
// over, though nobody does anything.
func TestShelvesEndByThemselves(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	var later atomic.Int64 // by how much the store's clock is ahead
	store := newMasters(t, func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
	tenant, sensor := store.plant("acme")
	heard, err := store.Alarms().Hear(ctx, tenant, []masterdata.Word{{Signal: &masterdata.Signal{Sensor: sensor, Kind: plant.AnomalyLimitHH, At: 1, Since: 1}}})
	must(errors.Join(append(heard.Refused, err)...))
	list, _, err := store.Alarms().List(ctx, tenant, masterdata.AlarmFilter{Limit: 1})
	must(err)
	shelf := alarm.Input{Action: alarm.Shelve, Shelf: alarm.Timed, Until: time.Now().Add(time.Hour).UnixMilli()}
	_, err = store.Alarms().Act(ctx, masterdata.System(tenant), list[0].ID.String(), masterdata.AnyVersion, shelf, "")
	must(err)

	kinds := upkeep(nil, store.Store)
	kinds = slices.DeleteFunc(kinds, func(k job.Kind) bool { return k.Name != "alarms" })
	if len(kinds) != 1 || kinds[0].Every > time.Minute {
		t.Fatalf("jobs that see to alarms: %+v", kinds)
	}
	kinds[0].Every = time.Second
	s, err := job.New(job.DefaultConfig(), store.db, kinds, nil, slog.New(slog.DiscardHandler))
	must(err)
	must(s.Start(ctx))
	t.Cleanup(func() { must(s.Stop(context.Background())) })
	later.Store(int64(2 * time.Hour))
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		a, err := store.Alarms().Get(ctx, tenant, list[0].ID.String())
		must(err)
		if a.State == "active" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("an hour after its shelf's end the alarm is %s", a.State)
		}
	}
}
