package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"log/slog"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/tlsconf"
	"github.com/foodflow/foodflow/migrations"
)

// SharedSchema is the installation's own schema.
const SharedSchema = "foodflow"

// Config says where and how fast.
type Config struct {
	// URL reaches Postgres itself, as a user that may create schemas and roles.
	URL string
	// TLS is as in postgres.Config.
	TLS tlsconf.Client
	// Parallel is how many tenants are migrated at once.
	Parallel int
}

// DefaultConfig has no URL.
func DefaultConfig() Config { return Config{Parallel: 4} }

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if c.URL == "" {
		errs = append(errs, errors.New("postgres.url: must not be empty"))
	}
	if c.Parallel < 1 || c.Parallel > 64 {
		errs = append(errs, errors.New("migrate.parallel: must be between 1 and 64"))
	}
	return errors.Join(errs...)
}

// Migrator runs migrations. It holds no connection between calls.
type Migrator struct {
	cfg  Config
	conn *pgx.ConnConfig
	log  *slog.Logger
	// tenantFiles are migrations.Tenant(), except in tests.
	tenantFiles fs.FS
}

// New makes a migrator; it connects to nothing.
func New(c Config, log *slog.Logger) (*Migrator, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	conn, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return nil, errors.New("postgres.url: is not a postgres URL")
	}
	if err := postgres.Secure(conn, c.TLS); err != nil {
		return nil, err
	}
	return &Migrator{cfg: c, conn: conn, log: log, tenantFiles: migrations.Tenant()}, nil
}

// Up brings the installation's schema up to date and then the tenants' that are
// behind. A tenant that fails doesn't stop the others; it is named by the error
// and, with what went wrong, by Status. progress, when given, is called after
// each tenant that was behind, never twice at once.
func (m *Migrator) Up(ctx context.Context, progress func(done, total int)) error {
	if err := m.Shared(ctx); err != nil {
		return err
	}
	all, err := m.Status(ctx)
	if err != nil {
		return err
	}
	var behind []Status
	for _, s := range all[1:] {
		if s.Lags() {
			behind = append(behind, s)
		}
	}
	// Runs at the same time begin with different tenants, or one would do the work
	// while the other waits for each of its locks.
	rand.Shuffle(len(behind), func(i, j int) { behind[i], behind[j] = behind[j], behind[i] })
	return m.each(ctx, behind, progress, func(ctx context.Context, s Status) error {
		return m.run(ctx, s.Schema, m.tenantFiles, tenantSteps(s.Schema))
	})
}

// Shared brings the installation's schema up to date.
func (m *Migrator) Shared(ctx context.Context) error {
	err := m.run(ctx, SharedSchema, migrations.Shared(), steps{prepareShared, grantShared})
	if err == nil {
		err = m.jobs(ctx)
	}
	if err != nil {
		return fmt.Errorf("migrating schema %s: %w", SharedSchema, m.noted(ctx, SharedSchema, err))
	}
	return nil
}

// jobs brings River's tables up to date, which lie in the installation's schema
// and have migrations of their own.
func (m *Migrator) jobs(ctx context.Context) error {
	pool, err := m.pool(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	if done, err := job.Migrated(ctx, pool, m.log); err != nil || done {
		return err
	}
	db := m.open(SharedSchema)
	defer db.Close()
	return locked(ctx, db, SharedSchema, func(ctx context.Context, _ *sql.DB) error { return job.Migrate(ctx, pool, m.log) })
}

func (m *Migrator) pool(ctx context.Context) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(m.cfg.URL)
	if err != nil {
		return nil, errors.New("postgres.url: is not a postgres URL")
	}
	if err := postgres.Secure(c.ConnConfig, m.cfg.TLS); err != nil {
		return nil, err
	}
	c.MaxConns = 2
	c.ConnConfig.RuntimeParams["application_name"] = "foodflow migrate"
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("opening postgres: %w", err)
	}
	return pool, nil
}

// Tenant makes a tenant's schema and role where they are missing, brings the
// schema up to date and grants the role its rights.
func (m *Migrator) Tenant(ctx context.Context, id plant.ID) error {
	schema := postgres.Schema(id)
	if err := m.run(ctx, schema, m.tenantFiles, tenantSteps(schema)); err != nil {
		return fmt.Errorf("migrating tenant %s: %w", id, m.noted(ctx, schema, err))
	}
	return nil
}

// steps are what is done before and after the migrations of a schema.
type steps struct{ prepare, grant step }

// step is one part of the work on a schema.
type step func(context.Context, *sql.DB) error

// run prepares a schema, applies what is pending and grants rights, each under
// the schema's lock.
func (m *Migrator) run(ctx context.Context, schema string, files fs.FS, s steps) error {
	db := m.open(schema)
	defer db.Close()
	if current, err := upToDate(ctx, db, schema, files); err != nil || current {
		return err
	}
	if err := locked(ctx, db, schema, s.prepare); err != nil {
		return fmt.Errorf("preparing: %w", err)
	}
	if err := fault.Point("migrate.prepared"); err != nil {
		return err
	}
	p, err := provider(db, schema, files)
	if err != nil {
		return err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return err
	}
	if err := fault.Point("migrate.applied"); err != nil {
		return err
	}
	if err := locked(ctx, db, schema, s.grant); err != nil {
		return fmt.Errorf("granting: %w", err)
	}
	m.log.DebugContext(ctx, "schema migrated", "schema", schema, "applied", len(results))
	return forget(ctx, db, schema)
}

// open gives a small pool whose connections see one schema.
func (m *Migrator) open(schema string) *sql.DB {
	c := m.conn.Copy()
	c.RuntimeParams["search_path"] = schema
	c.RuntimeParams["application_name"] = "foodflow migrate"
	db := stdlib.OpenDB(*c)
	db.SetMaxOpenConns(2)
	return db
}

func provider(db *sql.DB, schema string, files fs.FS) (*goose.Provider, error) {
	// A try a second, for half an hour: long migrations of another process are
	// waited for.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockID("migrate", schema)), lock.WithLockTimeout(1, 1800))
	if err != nil {
		return nil, fmt.Errorf("making session lock: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("reading migrations: %w", err)
	}
	return p, nil
}

// lockID is an advisory lock's number for a schema. A collision only makes two
// schemas wait for each other.
func lockID(purpose, schema string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("foodflow/" + purpose + "/" + schema))
	return int64(h.Sum64() >> 1)
}

// locked runs fn while holding an advisory lock on another connection.
func locked(ctx context.Context, db *sql.DB, schema string, fn step) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	id := lockID("prepare", schema)
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", id); err != nil {
		return fmt.Errorf("locking: %w", err)
	}
	defer func() {
		// The lock ends with the connection too, so a failure here costs only
		// the connection.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", id)
	}()
	return fn(ctx, db)
}
