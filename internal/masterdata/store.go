package masterdata

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
)

// Provisioner makes a tenant's schema and role; internal/migrate is one.
type Provisioner interface {
	Tenant(ctx context.Context, id plant.ID) error
}

// Store keeps master data. It is safe for concurrent use.
type Store struct {
	db     *postgres.DB
	now    func() time.Time
	writes *writes
}

// New makes a store on a database.
func New(db *postgres.DB, now func() time.Time) *Store {
	return &Store{db: db, now: now, writes: &writes{last: map[plant.ID]time.Time{}}}
}

// Actor is on whose behalf something is read or changed.
type Actor struct {
	Tenant plant.ID
	// Name is what events and the audit log say: "user:<id>", "key:<id>" or
	// "system".
	Name string
}

// System acts for FoodFlow itself in a tenant.
func System(tenant plant.ID) Actor { return Actor{Tenant: tenant, Name: "system"} }

// Meta is what every stored thing has.
type Meta struct {
	ID        plant.ID  `json:"id" doc:"UUID" format:"uuid" example:"01937b5e-8a0c-7c3e-9a53-1f0c2b7d4e60"`
	Version   int64     `json:"version" doc:"counts the changes; also the ETag" example:"3"`
	CreatedAt time.Time `json:"created_at" doc:"RFC 3339, UTC"`
	UpdatedAt time.Time `json:"updated_at" doc:"RFC 3339, UTC"`
}

// AnyVersion is the expected version of who doesn't mind which it changes.
const AnyVersion int64 = 0

// writing is one transaction that changes things.
type writing struct {
	tx  pgx.Tx
	who Actor
	now time.Time
}

// write runs fn in a transaction of the actor's tenant, alone among that
// tenant's writers. Where the request's answer is to be committed with it, the
// transaction is left open for that.
func (s *Store) write(ctx context.Context, who Actor, fn func(ctx context.Context, w *writing) error) error {
	within := func(ctx context.Context, tx pgx.Tx) error {
		w := &writing{tx: tx, who: who, now: s.stamp()}
		if err := w.alone(ctx); err != nil {
			return err
		}
		return fn(ctx, w)
	}
	if x, ok := ctx.Value(togetherKey{}).(*Together); ok {
		return x.write(ctx, who.Tenant, within)
	}
	defer s.writes.note(who.Tenant)
	err := s.db.InTenant(ctx, who.Tenant, within)
	if err == nil {
		s.db.Settle(ctx)
	}
	return err
}

// stamp is the clock in the resolution in which times are shown.
func (s *Store) stamp() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// alone waits for the tenant's other writers. The lock ends with the transaction.
func (w *writing) alone(ctx context.Context) error {
	if _, err := w.tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 7))", "foodflow/write/"+w.who.Tenant.String()); err != nil {
		return fmt.Errorf("waiting for other writers: %w", err)
	}
	return nil
}

// read runs fn in a transaction of the tenant, which may be the replica's where
// the context allows it and the tenant has not just written here.
func (s *Store) read(ctx context.Context, tenant plant.ID, fn func(ctx context.Context, tx pgx.Tx) error) error {
	if postgres.ReplicaAllowed(ctx) && !s.writes.recent(tenant, s.db.MaxLag()) {
		return s.db.ReadTenant(ctx, tenant, fn)
	}
	return s.db.InTenant(ctx, tenant, fn)
}
