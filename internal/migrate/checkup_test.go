package migrate

import (
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/doctor"
)

// Schemas that are behind are named until they are not.
func TestCheckup(t *testing.T) {
	m, _ := migrator(t)
	if found := m.Checkup().Run(t.Context()); len(found) != 1 || found[0].Severity != doctor.Error || !strings.Contains(found[0].What, "schema foodflow is at 0") {
		t.Errorf("nothing is migrated: %+v", found)
	}
	if err := m.Up(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if found := m.Checkup().Run(t.Context()); len(found) != 1 || found[0].Severity != doctor.OK {
		t.Errorf("all is migrated: %+v", found)
	}
}
