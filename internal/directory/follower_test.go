package directory

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// flaky decodes every frame to one entry, after so many errors.
type flaky struct {
	entry schemas.DirectoryEntry
	fails int
	err   error
}

func (f *flaky) DecodeDirectoryEntry(_ []byte, e *schemas.DirectoryEntry) error {
	if f.fails > 0 {
		f.fails--
		return f.err
	}
	*e = f.entry
	return nil
}

// TestApplierWaitsForTheRegistry: an entry is not lost because the registry was
// down when it came; one that can't be read is passed.
func TestApplierWaitsForTheRegistry(t *testing.T) {
	tenant := Tenant{ID: plant.NewID(), Key: "acme"}
	entry, err := EntryOf(1, tenant)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		dec   *flaky
		known bool
		took  time.Duration
	}{
		"registry back":  {&flaky{entry, 3, schemas.ErrRegistry}, true, 3 * registryPause},
		"registry gone":  {&flaky{entry, 1 << 30, schemas.ErrRegistry}, false, time.Minute},
		"unreadable":     {&flaky{entry, 1, schemas.ErrBody}, false, 0},
		"unknown schema": {&flaky{entry, 1, schemas.ErrUnknownSchema}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, reg := NewStore(), prometheus.NewRegistry()
				apply := Applier(store, tc.dec, slog.New(slog.DiscardHandler), reg)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				apply(ctx, entry.Key(), []byte{0})
				if took := time.Since(began); took != tc.took {
					t.Errorf("took %v, want %v", took, tc.took)
				}
				if _, known := store.TenantByKey("acme"); known != tc.known {
					t.Errorf("known: %v, want %v", known, tc.known)
				}
				if n, err := testutil.GatherAndCount(reg, "foodflow_directory_entries_total"); n != 3 || err != nil {
					t.Errorf("%d outcomes counted (%v), want 3", n, err)
				}
			})
		})
	}
}
