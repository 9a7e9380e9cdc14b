package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Schema is the name of a tenant's schema. It is derived from the id, never
// from anything a user typed, and needs no quoting.
func Schema(tenant plant.ID) string { return "t_" + hex.EncodeToString(tenant[:]) }

// Role is the name of a tenant's database role. Roles are the cluster's, not the
// database's; the policies of migrations/shared know this form.
func Role(tenant plant.ID) string { return "ff_t_" + hex.EncodeToString(tenant[:]) }

// InTenant runs fn in a transaction that sees one tenant's schema under that
// tenant's role. It commits when fn returns nil, rolls back otherwise, also when
// fn panics.
func (db *DB) InTenant(ctx context.Context, tenant plant.ID, fn func(ctx context.Context, tx pgx.Tx) error) error {
	if tenant.IsZero() {
		return errors.New("opening tenant transaction: no tenant")
	}
	return db.in(ctx, enter(tenant), fn)
}

// Enter makes the rest of a transaction of InShared the tenant's, as InTenant
// would; Leave undoes it.
func Enter(ctx context.Context, tx pgx.Tx, tenant plant.ID) error {
	if _, err := tx.Exec(ctx, enter(tenant)); err != nil {
		return fmt.Errorf("entering schema: %w", err)
	}
	return nil
}

// Leave goes back to the service's own role and schema.
func Leave(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, leave); err != nil {
		return fmt.Errorf("leaving schema: %w", err)
	}
	return nil
}

const leave = "SET LOCAL ROLE NONE; SET LOCAL search_path = foodflow"

func enter(tenant plant.ID) string {
	return "SET LOCAL search_path = " + Schema(tenant) + "; SET LOCAL ROLE " + Role(tenant)
}

// InShared runs fn in a transaction of the service itself, which sees the
// installation's schema.
func (db *DB) InShared(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return db.in(ctx, leave, fn)
}

func (db *DB) in(ctx context.Context, settings string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return db.inPool(ctx, db.pool, settings, fn)
}

// connection takes one from a pool; who takes it releases it.
func (db *DB) connection(ctx context.Context, pool *pgxpool.Pool) (*pgxpool.Conn, error) {
	wait, cancel := context.WithTimeout(ctx, db.acquire)
	defer cancel()
	conn, err := pool.Acquire(wait)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("waiting for a postgres connection: %w", ctx.Err())
		}
		return nil, fault.NewUnavailable(2*time.Second, Explained(err), "the master data can't be reached now")
	}
	return conn, nil
}

func (db *DB) inPool(ctx context.Context, pool *pgxpool.Pool, settings string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	h, err := db.hold(ctx, pool, settings, fn)
	if err != nil {
		return err
	}
	return h.commit(ctx)
}

// classify turns "Postgres is not there" into fault.Unavailable.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	if Unavailable(err) {
		return fault.NewUnavailable(2*time.Second, Explained(err), "the master data can't be reached now")
	}
	return err
}

// Explained adds to the refusal of a PgBouncer what the configuration lacks.
func Explained(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && strings.HasPrefix(pg.Message, "unsupported startup parameter") {
		return fmt.Errorf("postgres.url names a PgBouncer, so postgres.direct_url must name Postgres itself: %w", err)
	}
	return err
}

// Unavailable reports whether an error means that the server is not there, as
// against that it refused a statement.
func Unavailable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// 08: connection, 53: resources, 57P: shutdown or start-up.
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P")
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "unexpected EOF")
}

// The SQLSTATEs that repositories turn into faults.
const (
	CodeUnique     = "23505"
	CodeForeignKey = "23503"
	CodeCheck      = "23514"
	CodeNoSchema   = "3F000"
	CodeNoTable    = "42P01"
	CodeNoRole     = "22023" // SET ROLE to a role that doesn't exist
)

// Code gives the SQLSTATE of an error and the constraint it names.
func Code(err error) (code, constraint string) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code, pg.ConstraintName
	}
	return "", ""
}
