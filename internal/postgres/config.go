package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says how to reach Postgres.
type Config struct {
	// URL is postgres://user:password@host:port/database?…
	URL string
	// MaxConns bounds the pool of this process.
	MaxConns int32
	// Acquire bounds the wait for a connection.
	Acquire time.Duration
	// Statement bounds one statement on the server.
	Statement time.Duration
	// StatementCache keeps prepared statements; switch it off behind a
	// PgBouncer older than 1.21 in transaction mode.
	StatementCache bool
}

// DefaultConfig has no URL; an empty one means the embedded engine to whoever
// starts one.
func DefaultConfig() Config {
	return Config{MaxConns: 16, Acquire: 3 * time.Second, Statement: 30 * time.Second, StatementCache: true}
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if c.URL == "" {
		errs = append(errs, errors.New("postgres.url: must not be empty"))
	} else if _, err := pgxpool.ParseConfig(c.URL); err != nil {
		// The parser's message would repeat the URL with its password.
		errs = append(errs, errors.New("postgres.url: is not a postgres URL"))
	}
	if c.MaxConns < 1 || c.MaxConns > 10_000 {
		errs = append(errs, errors.New("postgres.max_conns: must be between 1 and 10000"))
	}
	if c.Acquire <= 0 {
		errs = append(errs, errors.New("postgres.acquire: must be positive"))
	}
	if c.Statement <= 0 {
		errs = append(errs, errors.New("postgres.statement: must be positive"))
	}
	return errors.Join(errs...)
}

// DB is a pool of connections. It connects on first use.
type DB struct {
	pool    *pgxpool.Pool
	acquire time.Duration
}

// Open makes the pool; it doesn't fail because Postgres is down.
func Open(ctx context.Context, c Config) (*DB, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	p, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, errors.New("opening postgres: the URL can't be read")
	}
	p.MaxConns = c.MaxConns
	p.MaxConnIdleTime = 5 * time.Minute
	p.ConnConfig.ConnectTimeout = c.Acquire
	if !c.StatementCache {
		p.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	params := p.ConnConfig.RuntimeParams
	params["statement_timeout"] = fmt.Sprint(c.Statement.Milliseconds())
	params["idle_in_transaction_session_timeout"] = "60000"
	params["application_name"] = "foodflow"
	pool, err := pgxpool.NewWithConfig(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("opening postgres: %w", err)
	}
	return &DB{pool: pool, acquire: c.Acquire}, nil
}

// Pool gives the pool to packages that manage connections themselves.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Ping asks the server for an answer.
func (db *DB) Ping(ctx context.Context) error { return classify(db.pool.Ping(ctx)) }

// Close closes every connection; safe twice.
func (db *DB) Close() { db.pool.Close() }
