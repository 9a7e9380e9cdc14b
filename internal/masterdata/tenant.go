package masterdata

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
)

// The states of a tenant.
const (
	TenantProvisioning = "provisioning"
	TenantActive       = "active"
	TenantSuspended    = "suspended"
	TenantDeleting     = "deleting"
)

// Tenant is one customer of the installation.
type Tenant struct {
	Meta
	Key   string `json:"key" example:"acme"`
	Name  string `json:"name" example:"Acme Foods"`
	State string `json:"state" enum:"provisioning,active,suspended,deleting"`
}

// NewTenant is what a tenant begins with.
type NewTenant struct {
	ID    plant.ID // zero: made here
	Key   string
	Name  string
	Admin User // with its password's hash
}

const tenantColumns = "id, version, created_at, updated_at, key, name, state"

func scanTenant(row pgx.Row) (*Tenant, error) {
	t := new(Tenant)
	err := row.Scan(&t.ID, &t.Version, &t.CreatedAt, &t.UpdatedAt, &t.Key, &t.Name, &t.State)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "there is no such tenant")
	}
	if err != nil {
		return nil, fmt.Errorf("reading tenant: %w", err)
	}
	return t, nil
}

// Provision makes a tenant: its row, its schema and role, its first admin. Each
// step finds what an earlier, interrupted call has done, so calling it again
// with the same key and the same admin finishes the work.
func (s *Store) Provision(ctx context.Context, p Provisioner, n NewTenant) (*Tenant, error) {
	t, err := s.EnterTenant(ctx, n)
	if err != nil {
		return nil, err
	}
	if err := p.Tenant(ctx, t.ID); err != nil {
		return nil, fmt.Errorf("making the tenant's schema: %w", err)
	}
	if t.State != TenantProvisioning {
		return t, nil
	}
	n.Admin.Role, n.Admin.Active = RoleAdmin, true
	return s.changeTenant(ctx, t.ID.String(), "TenantCreated", func(ctx context.Context, w *writing, t *Tenant) error {
		t.State = TenantActive
		return s.Users().create(ctx, w, &n.Admin)
	}, TenantProvisioning)
}

// EnterTenant adds the row, or finds the one of an interrupted call. It is the
// first part of Provision.
func (s *Store) EnterTenant(ctx context.Context, n NewTenant) (t *Tenant, err error) {
	var r rules
	r.key("key", n.Key, 63)
	r.text("name", n.Name, 1, 200)
	n.Admin.Role = RoleAdmin
	for _, it := range checkUser(&n.Admin).items {
		r.add("admin."+it.Location, it.Rule, "%s", it.Message)
	}
	if err := r.broken(); err != nil {
		return nil, err
	}
	if n.ID.IsZero() {
		n.ID = plant.NewID()
	}
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// What would stop the last step is asked before the first, so that a
		// mistake leaves no half of a tenant.
		var taken bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM logins WHERE email = $1 AND tenant_id NOT IN (SELECT id FROM tenants WHERE key = $2))`,
			n.Admin.Email, n.Key).Scan(&taken); err != nil {
			return fmt.Errorf("looking for the admin's log-in: %w", err)
		}
		if taken {
			return errEmailTaken()
		}
		if _, err := tx.Exec(ctx, `INSERT INTO tenants (id, key, name, schema_name, role_name, state, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, 'provisioning', $6, $6) ON CONFLICT (key) DO UPDATE SET name = excluded.name WHERE tenants.state = 'provisioning'`,
			n.ID, n.Key, n.Name, postgres.Schema(n.ID), postgres.Role(n.ID), s.stamp()); err != nil {
			if code, _ := postgres.Code(err); code == postgres.CodeCheck {
				return fault.NewInvalid(fault.Item{Location: "key", Rule: "key", Message: "must be lower-case letters, digits and dashes"})
			}
			return fmt.Errorf("entering tenant: %w", err)
		}
		t, err = scanTenant(tx.QueryRow(ctx, "SELECT "+tenantColumns+" FROM tenants WHERE key = $1", n.Key))
		return err
	})
	return t, err
}

// Tenant reads a tenant by id or key.
func (s *Store) Tenant(ctx context.Context, idOrKey string) (t *Tenant, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		t, err = findTenant(ctx, tx, idOrKey, "")
		return err
	})
	return t, err
}

func findTenant(ctx context.Context, tx pgx.Tx, idOrKey, lock string) (*Tenant, error) {
	if id, err := plant.ParseID(idOrKey); err == nil {
		return scanTenant(tx.QueryRow(ctx, "SELECT "+tenantColumns+" FROM foodflow.tenants WHERE id = $1"+lock, id))
	}
	return scanTenant(tx.QueryRow(ctx, "SELECT "+tenantColumns+" FROM foodflow.tenants WHERE key = $1"+lock, idOrKey))
}

// Tenants lists the installation's tenants by key.
func (s *Store) Tenants(ctx context.Context, after string, limit int) (ts []*Tenant, more bool, err error) {
	limit = min(max(limit, 1), MaxPage)
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT "+tenantColumns+" FROM tenants WHERE key > $1 ORDER BY key LIMIT $2", after, limit+1)
		if err != nil {
			return fmt.Errorf("listing tenants: %w", err)
		}
		ts, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Tenant, error) { return scanTenant(row) })
		return err
	})
	if more = len(ts) > limit; more {
		ts = ts[:limit]
	}
	return ts, more, err
}

// goneTenant makes NotFound of what Postgres says of a tenant that has neither
// schema nor role.
func goneTenant(err error) error {
	switch code, _ := postgres.Code(err); code {
	case postgres.CodeNoRole, postgres.CodeNoSchema, postgres.CodeNoTable:
		return &fault.Error{Kind: fault.NotFound, Detail: "there is no such tenant", Cause: err}
	}
	return err
}

// Suspend refuses the tenant's keys and log-ins from now on; nothing is lost.
func (s *Store) Suspend(ctx context.Context, idOrKey string) (*Tenant, error) {
	return s.changeTenant(ctx, idOrKey, "TenantSuspended", func(ctx context.Context, w *writing, t *Tenant) error {
		t.State = TenantSuspended
		return nil
	}, TenantActive)
}

// Resume undoes Suspend.
func (s *Store) Resume(ctx context.Context, idOrKey string) (*Tenant, error) {
	return s.changeTenant(ctx, idOrKey, "TenantResumed", func(ctx context.Context, w *writing, t *Tenant) error {
		t.State = TenantActive
		return nil
	}, TenantSuspended)
}

// changeTenant changes the row under the service's own role and then becomes
// the tenant, in the same transaction, to write what is announced of it.
func (s *Store) changeTenant(ctx context.Context, idOrKey, event string, alter func(context.Context, *writing, *Tenant) error, from string) (t *Tenant, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if t, err = findTenant(ctx, tx, idOrKey, " FOR UPDATE"); err != nil {
			return err
		}
		if t.State != from {
			return fault.New(fault.Conflict, "the tenant is %s, it would have to be %s", t.State, from)
		}
		w := &writing{tx: tx, who: System(t.ID), now: s.stamp()}
		if err := w.alone(ctx); err != nil {
			return err
		}
		if err := postgres.Enter(ctx, tx, t.ID); err != nil {
			return err
		}
		if err := alter(ctx, w, t); err != nil {
			return err
		}
		t.Version, t.UpdatedAt = t.Version+1, w.now
		entry := directory.Tenant{ID: t.ID, Key: t.Key, Name: t.Name, Suspended: t.State != TenantActive, Deleting: t.State == TenantDeleting}
		if err := w.publish(ctx, directory.KindTenant, t.ID, t.Version, entry); err != nil {
			return err
		}
		if err := w.record(ctx, change{directory.KindTenant, t.ID, event, t}); err != nil {
			return err
		}
		if err := postgres.Leave(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE foodflow.tenants SET state = $2, version = $3, updated_at = $4 WHERE id = $1", t.ID, t.State, t.Version, t.UpdatedAt)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.db.Settle(ctx)
	return t, nil
}
