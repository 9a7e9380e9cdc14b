package api

import (
	"testing"

	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

// TestRoutesThroughPgBouncer runs every changing route, and every route with
// another tenant's ids (promises S1 and S4), behind a PgBouncer in transaction
// mode.
func TestRoutesThroughPgBouncer(t *testing.T) {
	pooled := func(t *testing.T) *world {
		t.Helper()
		cfg := postgres.DefaultConfig()
		cfg.Direct = testkit.Postgres(t)
		cfg.URL = testkit.PgBouncer(t, cfg.Direct)
		return newWorldOn(t, cfg, cfg.Direct)
	}
	t.Run("changes", func(t *testing.T) { everyChangeIsAudited(t, pooled(t)) })
	t.Run("foreign", func(t *testing.T) { nothingOfAnotherTenant(t, pooled(t)) })
}
