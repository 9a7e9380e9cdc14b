package masterdata

import (
	"context"
	"errors"
	"fmt"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/password"
	"github.com/foodflow/foodflow/internal/plant"
)

// Seed is what the demo tenant opens with. Both secrets are the caller's, so
// that it can print them at each start.
type Seed struct {
	Password string
	Key      directory.Key
}

// SeedDemo makes the demo tenant with its admin, key and plant. It adds what is
// missing and leaves alone what is there, whatever became of it; only password
// and key are brought back to what Seed says, because that is what is printed.
func (s *Store) SeedDemo(ctx context.Context, p Provisioner, h *password.Hasher, seed Seed) (directory.Tenant, error) {
	d := demo.Describe()
	who := System(d.Tenant.ID)
	hash, err := h.Hash(ctx, seed.Password)
	if err != nil {
		return d.Tenant, fmt.Errorf("seeding demo: %w", err)
	}
	admin := User{UserFields: UserFields{Email: demo.AdminEmail, Name: "Demo Admin"}, Hash: hash}
	admin.ID = demo.ID("user", demo.AdminEmail)
	if _, err := s.Provision(ctx, p, NewTenant{ID: d.Tenant.ID, Key: d.Tenant.Key, Name: d.Tenant.Name, Admin: admin}); err != nil {
		return d.Tenant, fmt.Errorf("seeding demo tenant: %w", err)
	}
	for _, step := range []func() error{
		func() error { return s.seedPassword(ctx, who, h, seed.Password, hash) },
		func() error { return s.seedKey(ctx, who, seed.Key) },
		func() error { return s.seedPlant(ctx, who, d) },
	} {
		if err := step(); err != nil {
			return d.Tenant, fmt.Errorf("seeding demo: %w", err)
		}
	}
	return d.Tenant, nil
}

func (s *Store) seedPassword(ctx context.Context, who Actor, h *password.Hasher, clear, hash string) error {
	_, u, err := s.Login(ctx, demo.AdminEmail)
	if err != nil {
		return err
	}
	if ok, err := h.Verify(ctx, u.Hash, clear); err != nil || ok {
		return err
	}
	_, err = s.Users().Update(ctx, who, u.ID.String(), AnyVersion, func(u *User) error {
		u.Hash = hash
		return nil
	})
	return err
}

func (s *Store) seedKey(ctx context.Context, who Actor, key directory.Key) error {
	hash := key.Hash()
	k := APIKey{
		APIKeyFields: APIKeyFields{Name: "Demo plant", Scopes: directory.Scopes()},
		Public:       key.Public, CreatedBy: who.Name, Hash: hash[:],
	}
	k.ID = plant.NameID(who.Tenant, directory.KindAPIKey, key.Public)
	return s.APIKeys().ensure(ctx, who, &k)
}

func (s *Store) seedPlant(ctx context.Context, who Actor, d demo.Plant) error {
	c := Calendar{CalendarFields: CalendarFields{
		Key: d.Calendar.Key, Name: d.Calendar.Name, TimeZone: d.Calendar.TimeZone,
		CycleDays: d.Calendar.CycleDays, Anchor: d.Calendar.Anchor, Shifts: d.Calendar.Shifts,
	}}
	c.ID = d.Calendar.ID
	errs := []error{s.Calendars().ensure(ctx, who, &c)}
	for _, r := range d.StopReasons {
		x := StopReason{StopReasonFields: StopReasonFields{ParentID: optional(r.Parent), Key: r.Key, Name: r.Name, Class: r.Class}}
		x.ID = r.ID
		errs = append(errs, s.StopReasons().ensure(ctx, who, &x))
	}
	for _, l := range d.Lines {
		errs = append(errs, s.seedLine(ctx, who, l))
	}
	return errors.Join(errs...)
}

func (s *Store) seedLine(ctx context.Context, who Actor, l demo.Line) error {
	line := Line{LineFields: LineFields{
		Key: l.Key, Name: l.Name, TimeZone: l.TimeZone, Unit: l.Unit, IdealRate: l.IdealRate, CalendarID: optional(l.Calendar),
		SilenceTimeoutMS: l.SilenceTimeoutMS, MinorStopMS: l.MinorStopMS, Policy: l.Policy, Constraint: l.Constraint,
	}}
	line.ID = l.ID
	for _, p := range l.Products {
		x := Product{ProductFields: ProductFields{Key: p.Key, Name: p.Name, Unit: p.Unit}}
		x.ID = p.ID
		if err := s.Products().ensure(ctx, who, &x); err != nil {
			return err
		}
		line.IdealRates = append(line.IdealRates, IdealRate{Product: p.Key, PerMinute: p.PerMinute})
	}
	if err := s.Lines().ensure(ctx, who, &line); err != nil {
		return err
	}
	for _, x := range l.Sensors {
		sensor := Sensor{SensorFields: SensorFields{
			LineID: optional(x.Line), Key: x.Key, Name: x.Name, Unit: x.Unit, Kind: x.Kind,
			LL: x.LL, L: x.L, H: x.H, HH: x.HH, RangeMin: x.RangeMin, RangeMax: x.RangeMax,
			Deadband: x.Deadband, OnDelayMS: x.OnDelayMS, OffDelayMS: x.OffDelayMS, Detect: x.Detect,
		}}
		sensor.ID = x.ID
		// A sensor that someone deleted and entered again under the same key
		// has another id; it is theirs.
		if err := s.Sensors().ensure(ctx, who, &sensor); err != nil && fault.KindOf(err) != fault.Conflict {
			return err
		}
	}
	return nil
}

func optional(id plant.ID) *plant.ID {
	if id.IsZero() {
		return nil
	}
	return &id
}
