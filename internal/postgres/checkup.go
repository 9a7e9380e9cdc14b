package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/foodflow/foodflow/internal/doctor"
)

// oldest is the first version of Postgres that will do.
const oldest = 150_000

// Checkup looks at the server: whether it answers, its version, its clock, its
// connections, and at the replica if there is one.
func Checkup(c Config) []doctor.Check {
	checks := []doctor.Check{{Name: "postgres.reachable", Run: func(ctx context.Context) []doctor.Finding { return ask(ctx, c, c.URL, checkServer) }}}
	if c.Replica != "" {
		checks = append(checks, doctor.Check{Name: "postgres.replica", Run: func(ctx context.Context) []doctor.Finding { return ask(ctx, c, c.Replica, checkReplica) }})
	}
	return checks
}

func ask(ctx context.Context, c Config, url string, look func(context.Context, *pgxpool.Pool) ([]doctor.Finding, error)) []doctor.Finding {
	cfg, err := c.pool(url)
	if err == nil {
		cfg.MaxConns = 1
		var pool *pgxpool.Pool
		if pool, err = pgxpool.NewWithConfig(ctx, cfg); err == nil {
			defer pool.Close()
			var found []doctor.Finding
			if found, err = look(ctx, pool); err == nil {
				return found
			}
		}
	}
	return doctor.Unreachable(errors.New(doctor.Redacted(err)), "see that Postgres runs and that postgres.url and TLS are right")
}

func checkServer(ctx context.Context, pool *pgxpool.Pool) ([]doctor.Finding, error) {
	var version, used, most int
	var there time.Time
	var readOnly bool
	if err := pool.Ping(ctx); err != nil {
		return nil, err
	}
	asked := time.Now()
	err := pool.QueryRow(ctx, `SELECT clock_timestamp(), current_setting('server_version_num')::int, pg_is_in_recovery(),
		(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), current_setting('max_connections')::int`).Scan(&there, &version, &readOnly, &used, &most)
	if err != nil {
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	found := doctor.Skew(there, asked, time.Now())
	found[0].Check = "postgres.clock"
	switch {
	case version < oldest:
		found = append(found, doctor.Finding{Severity: doctor.Error, What: fmt.Sprintf("is version %d", version/10_000), Means: "migrations use what it doesn't know", Mend: "run Postgres 15 or newer"})
	case readOnly:
		found = append(found, doctor.Finding{Severity: doctor.Error, What: "is a replica", Means: "nothing can be written", Mend: "name the primary as postgres.url, this one as postgres.replica.url"})
	default:
		found = append(found, doctor.Fine("is version %d", version/10_000)...)
	}
	if 10*used > 8*most {
		found = append(found, doctor.Finding{Check: "postgres.connections", Severity: doctor.Warning, What: fmt.Sprintf("%d of %d connections are in use", used, most), Means: "the next process may get none", Mend: "lower postgres.connections of the roles, raise max_connections, or put a PgBouncer between"})
	}
	return found, nil
}

func checkReplica(ctx context.Context, pool *pgxpool.Pool) ([]doctor.Finding, error) {
	var copies bool
	if err := pool.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&copies); err != nil {
		return nil, fmt.Errorf("asking the replica: %w", err)
	}
	if !copies {
		return []doctor.Finding{{Severity: doctor.Error, What: "is no replica", Means: "it is never read from", Mend: "name a standby as postgres.replica.url"}}, nil
	}
	return doctor.Fine("is a replica"), nil
}
