package outbox

import (
	"context"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

func pooledWorld(t *testing.T) *world {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.Direct = testkit.Postgres(t)
	cfg.URL, cfg.MaxConns, cfg.Acquire = testkit.PgBouncer(t, cfg.Direct), 40, time.Minute
	return newWorldOn(t, cfg)
}

// TestRelayThroughPgBouncer runs store and relay behind a PgBouncer in
// transaction mode.
func TestRelayThroughPgBouncer(t *testing.T) {
	t.Run("directory", func(t *testing.T) { changesReachTheDirectory(t, pooledWorld(t)) })
	t.Run("order", func(t *testing.T) { orderPerAggregate(t, pooledWorld(t)) })
}

// TestNotificationsNeedTheDirectAddress: the relay is woken through PgBouncer,
// because it listens on Postgres itself. The control listens through PgBouncer
// and hears nothing.
func TestNotificationsNeedTheDirectAddress(t *testing.T) {
	w := pooledWorld(t)
	for _, c := range []struct {
		name, direct string
		heard        bool
	}{{"direct", "", true}, {"through pgbouncer", w.cfg.URL, false}} {
		cfg := postgres.DefaultConfig()
		cfg.URL, cfg.Direct = w.cfg.URL, w.cfg.Direct
		if c.direct != "" {
			cfg.Direct = c.direct
		}
		db, err := postgres.Open(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		r := w.relay(nil, w.out)
		r.db = db
		run(t, func(ctx context.Context) error { r.listen(ctx); return nil })
		heard := func() bool {
			if _, err := w.db.Pool().Exec(t.Context(), "SELECT pg_notify('foodflow_outbox', '')"); err != nil {
				t.Fatal(err)
			}
			select {
			case <-r.wake:
				return true
			case <-time.After(20 * time.Millisecond):
				return false
			}
		}
		got := false
		patience := 2 * time.Second // for what must not come
		if c.heard {
			patience = 2 * time.Minute
		}
		for deadline := time.Now().Add(patience); !got && time.Now().Before(deadline); {
			got = heard()
		}
		if got != c.heard {
			t.Errorf("%s: heard %v", c.name, got)
		}
	}
}
