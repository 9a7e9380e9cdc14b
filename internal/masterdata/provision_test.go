package masterdata

import (
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/fault"
)

// TestMistakesLeaveNoHalfOfATenant: what would stop the last step of making a
// tenant is found before the first, and a call that was cut short is finished
// under the name of the one that finishes it.
func TestMistakesLeaveNoHalfOfATenant(t *testing.T) {
	f := newFixture(t)
	f.tenant("acme")
	ask := func(email, name string) NewTenant {
		return NewTenant{Key: "other", Name: name, Admin: User{UserFields: UserFields{Email: email, Name: "Ana"}, Hash: "x"}}
	}
	for email, want := range map[string]string{"ana": "admin.email: email", "admin@acme.example": "another user already has this email", "Admin@Acme.example": "another user"} {
		if _, err := f.Provision(t.Context(), f.m, ask(email, "Other")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", email, err)
		}
		if _, err := f.Tenant(t.Context(), "other"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s left a tenant behind: %v", email, err)
		}
	}
	if _, err := f.EnterTenant(t.Context(), ask("ana@other.example", "Othr")); err != nil {
		t.Fatal(err)
	}
	got, err := f.Provision(t.Context(), f.m, ask("ana@other.example", "Other"))
	if err != nil || got.Name != "Other" || got.State != TenantActive {
		t.Fatalf("%+v, %v", got, err)
	}
	// And once more, as a job's step that is repeated after a crash.
	if got, err = f.Provision(t.Context(), f.m, ask("ana@other.example", "Renamed")); err != nil || got.Name != "Other" {
		t.Errorf("%+v, %v", got, err)
	}
}
