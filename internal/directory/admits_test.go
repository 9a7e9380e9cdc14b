package directory

import (
	"errors"
	"testing"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// TestAdmits: nothing is taken of a tenant that is suspended, going or unknown.
func TestAdmits(t *testing.T) {
	s := NewStore()
	there, suspended, going := plant.NewID(), plant.NewID(), plant.NewID()
	apply(t, s, 1, Tenant{ID: there, Key: "a"}, Tenant{ID: suspended, Key: "b", Suspended: true}, Tenant{ID: going, Key: "c", Deleting: true})
	if err := s.Admits(there); err != nil {
		t.Error(err)
	}
	if err := s.Admits(suspended); fault.KindOf(err) != fault.Forbidden || !errors.Is(err, ErrTenantSuspended) {
		t.Errorf("suspended: %v", err)
	}
	for _, id := range []plant.ID{going, plant.NewID()} {
		if err := s.Admits(id); fault.KindOf(err) != fault.NotFound {
			t.Errorf("gone: %v", err)
		}
	}
}
