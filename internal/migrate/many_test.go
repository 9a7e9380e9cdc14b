package migrate

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// TestManyTenants measures provisioning and the check at start-up for as many
// tenants as FOODFLOW_TEST_TENANTS says; a few by default, a thousand in make chaos.
func TestManyTenants(t *testing.T) {
	n := 10
	if v, err := strconv.Atoi(os.Getenv("FOODFLOW_TEST_TENANTS")); err == nil {
		n = v
	}
	m, db := migrator(t)
	if err := m.Shared(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range n {
		addTenant(t, db)
	}
	start := time.Now()
	if err := m.Up(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	made := time.Since(start)
	start = time.Now()
	if err := m.Up(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	checked := time.Since(start)
	all, err := m.Status(t.Context())
	if err != nil || len(all) != n+1 {
		t.Fatalf("%d schemas, %v", len(all), err)
	}
	for _, s := range all {
		if s.Lags() {
			t.Errorf("%s lags", s.Schema)
		}
	}
	t.Logf("%d tenants: made in %v (%v each), found up to date in %v (%v each)", n, made, made/time.Duration(n), checked, checked/time.Duration(n))
}
