package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/foodflow/foodflow/internal/tlsconf"
)

// Config says how to reach Postgres.
type Config struct {
	// URL is postgres://user:password@host:port/database?…
	URL string
	// Direct reaches Postgres itself where URL names a PgBouncer in transaction
	// mode, for what needs a session. Empty: URL names Postgres itself.
	Direct string
	// TLS is what a connection trusts and shows. Set, it demands TLS and checks
	// the server's certificate and name, whatever the URLs' sslmode says.
	TLS tlsconf.Client
	// Replica reaches a read-only copy that ReadTenant reads from; "": none.
	Replica string
	// ReplicaLag is how much older than the primary a read of it may be.
	ReplicaLag time.Duration
	// MaxConns bounds the pool of this process.
	MaxConns int32
	// Acquire bounds the wait for a connection.
	Acquire time.Duration
	// Statement bounds one statement on the server.
	Statement time.Duration
}

// DefaultConfig has no URL; an empty one means the embedded engine to whoever
// starts one.
func DefaultConfig() Config {
	return Config{MaxConns: 16, ReplicaLag: 2 * time.Second, Acquire: 3 * time.Second, Statement: 30 * time.Second}
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
	if _, err := pgx.ParseConfig(c.Direct); c.Direct != "" && err != nil {
		errs = append(errs, errors.New("postgres.direct_url: is not a postgres URL"))
	}
	errs = append(errs, c.TLS.Validate("postgres.tls"))
	if _, err := pgxpool.ParseConfig(c.Replica); c.Replica != "" && err != nil {
		errs = append(errs, errors.New("postgres.replica_url: is not a postgres URL"))
	}
	if c.Replica != "" && c.ReplicaLag < 100*time.Millisecond {
		errs = append(errs, errors.New("postgres.replica_lag: must be at least 100ms"))
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
	// session reaches Postgres itself.
	session *pgx.ConnConfig
	// limits are the statements that bound a transaction, "" where the session
	// carries the bounds.
	limits string
	// replica is nil where there is none.
	replica *replica
	once    sync.Once // of Close
}

// Open makes the pool; it doesn't fail because Postgres is down.
func Open(ctx context.Context, c Config) (*DB, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	p, err := c.pool(c.URL)
	if err != nil {
		return nil, err
	}
	db := &DB{acquire: c.Acquire, session: p.ConnConfig.Copy()}
	if c.Direct != "" {
		if err := db.pooled(c); err != nil {
			return nil, err
		}
	} else {
		p.ConnConfig.RuntimeParams["statement_timeout"] = fmt.Sprint(c.Statement.Milliseconds())
		p.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = fmt.Sprint(idle.Milliseconds())
	}
	if db.pool, err = pgxpool.NewWithConfig(ctx, p); err != nil {
		return nil, fmt.Errorf("opening postgres: %w", err)
	}
	if c.Replica != "" {
		rp, err := c.pool(c.Replica)
		if err != nil {
			return nil, err
		}
		if c.Direct == "" {
			rp.ConnConfig.RuntimeParams["statement_timeout"] = fmt.Sprint(c.Statement.Milliseconds())
		}
		pool, err := pgxpool.NewWithConfig(ctx, rp)
		if err != nil {
			return nil, fmt.Errorf("opening the replica: %w", err)
		}
		db.replica = newReplica(ctx, pool, db.pool, c.ReplicaLag)
	}
	return db, nil
}

// pool is what pools of the primary and of the replica have in common.
func (c Config) pool(url string) (*pgxpool.Config, error) {
	p, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("opening postgres: the URL can't be read")
	}
	if err := Secure(p.ConnConfig, c.TLS); err != nil {
		return nil, err
	}
	if c.Direct != "" { // a PgBouncer knows no prepared statement by name
		p.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	p.ConnConfig.Tracer = tracing{}
	p.MaxConns = c.MaxConns
	p.MaxConnIdleTime = 5 * time.Minute
	p.ConnConfig.ConnectTimeout = c.Acquire
	p.ConnConfig.RuntimeParams["application_name"] = "foodflow"
	return p, nil
}

// idle is how long a transaction may wait for its client.
const idle = time.Minute

// pooled makes the pool fit for a PgBouncer in transaction mode, where the next
// statement may meet another server process: it refuses settings of a session,
// so each transaction sets its own. (That it knows no prepared statement by name
// is minded by pool: the client keeps what a statement's parameters are and sends
// the text.)
func (db *DB) pooled(c Config) error {
	db.limits = fmt.Sprintf("SET LOCAL statement_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = %d; ", c.Statement.Milliseconds(), idle.Milliseconds())
	direct, err := pgx.ParseConfig(c.Direct)
	if err != nil {
		return errors.New("opening postgres: the direct URL can't be read")
	}
	if err := Secure(direct, c.TLS); err != nil {
		return err
	}
	direct.ConnectTimeout = c.Acquire
	direct.RuntimeParams["application_name"] = "foodflow"
	db.session = direct
	return nil
}

// Session opens a connection of its own to Postgres itself, for what outlives a
// transaction: LISTEN. The caller closes it.
func (db *DB) Session(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, db.session)
	if err != nil {
		return nil, classify(fmt.Errorf("opening a session: %w", err))
	}
	return conn, nil
}

// Pool gives the pool to packages that manage connections themselves.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Ping asks the server for an answer.
func (db *DB) Ping(ctx context.Context) error { return classify(db.pool.Ping(ctx)) }

// Close closes every connection; safe twice.
func (db *DB) Close() {
	db.once.Do(func() {
		if db.replica != nil {
			db.replica.close()
		}
		db.pool.Close()
	})
}
