package main

import (
	"context"
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
	mc := migrate.DefaultConfig()
	mc.URL = testkit.Postgres(t)
	m, err := migrate.New(mc, slog.New(slog.DiscardHandler))
	must(err)
	must(m.Shared(ctx))
	pc := postgres.DefaultConfig()
	pc.URL = mc.URL
	db, err := postgres.Open(context.Background(), pc)
	must(err)
	t.Cleanup(db.Close)
	var later atomic.Int64 // by how much the store's clock is ahead
	store := masterdata.New(db, func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
	tenant, err := store.Provision(ctx, m, masterdata.NewTenant{
		Key: "acme", Name: "Acme", Admin: masterdata.User{UserFields: masterdata.UserFields{Email: "a@acme.example", Name: "A"}, Hash: "x"},
	})
	must(err)
	sensor := masterdata.Sensor{SensorFields: masterdata.SensorFields{Key: "t", Name: "t", Unit: "degC", Kind: "temperature"}}
	must(store.Sensors().Create(ctx, masterdata.System(tenant.ID), &sensor))
	_, err = store.Alarms().Signal(ctx, tenant.ID, masterdata.Signal{Sensor: sensor.ID, Kind: plant.AnomalyLimitHH, At: 1, Since: 1})
	must(err)
	list, _, err := store.Alarms().List(ctx, tenant.ID, masterdata.AlarmFilter{Limit: 1})
	must(err)
	shelf := alarm.Input{Action: alarm.Shelve, Shelf: alarm.Timed, Until: time.Now().Add(time.Hour).UnixMilli()}
	_, err = store.Alarms().Act(ctx, masterdata.System(tenant.ID), list[0].ID.String(), masterdata.AnyVersion, shelf, "")
	must(err)

	kinds := upkeep(nil, store)
	kinds = slices.DeleteFunc(kinds, func(k job.Kind) bool { return k.Name != "alarms" })
	if len(kinds) != 1 || kinds[0].Every > time.Minute {
		t.Fatalf("jobs that see to alarms: %+v", kinds)
	}
	kinds[0].Every = time.Second
	s, err := job.New(job.DefaultConfig(), db, kinds, nil, slog.New(slog.DiscardHandler))
	must(err)
	must(s.Start(ctx))
	t.Cleanup(func() { must(s.Stop(context.Background())) })
	later.Store(int64(2 * time.Hour))
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		a, err := store.Alarms().Get(ctx, tenant.ID, list[0].ID.String())
		must(err)
		if a.State == "active" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("an hour after its shelf's end the alarm is %s", a.State)
		}
	}
}
