package tenancy

import (
	"context"
	"fmt"

	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

// KindProvision makes a tenant.
const KindProvision = "tenant-provision"

// Provision is the input of KindProvision. It holds the hash of a password, for
// as long as the job is open.
type Provision struct {
	Tenant     plant.ID `json:"tenant"`
	Key        string   `json:"key"`
	Name       string   `json:"name"`
	AdminEmail string   `json:"admin_email"`
	AdminName  string   `json:"admin_name"`
	AdminHash  string   `json:"admin_hash"`
}

// ProvisionKind is the work of KindProvision: schema and role first, which take
// the time, then the first admin and the announcement.
func ProvisionKind(store *masterdata.Store, p masterdata.Provisioner) job.Kind {
	return job.Kind{Name: KindProvision, Steps: []job.Step{
		{Name: "schema", Weight: 9, Do: func(ctx context.Context, r *job.Run) error {
			in, err := provisionInput(r)
			if err != nil {
				return err
			}
			t, err := store.EnterTenant(ctx, in)
			if err != nil {
				return err
			}
			if err := p.Tenant(ctx, t.ID); err != nil {
				return fmt.Errorf("making the tenant's schema: %w", err)
			}
			return nil
		}},
		{Name: "admin", Do: func(ctx context.Context, r *job.Run) error {
			in, err := provisionInput(r)
			if err != nil {
				return err
			}
			t, err := store.Provision(ctx, p, in)
			if err != nil {
				return err
			}
			r.Result(t)
			return nil
		}},
	}}
}

func provisionInput(r *job.Run) (masterdata.NewTenant, error) {
	var in Provision
	err := r.Input(&in)
	return masterdata.NewTenant{ID: in.Tenant, Key: in.Key, Name: in.Name, Admin: masterdata.User{
		UserFields: masterdata.UserFields{Email: in.AdminEmail, Name: in.AdminName}, Hash: in.AdminHash,
	}}, err
}
