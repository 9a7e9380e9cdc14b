package main

import (
	"context"
	"time"

	"github.com/foodflow/foodflow/api/auth"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/tenancy"
)

// upkeep is the periodic work of the api role that belongs to no package alone.
func upkeep(keys *auth.Keys, store *masterdata.Store, forget func(context.Context) (int64, error)) []job.Kind {
	hourly := func(name, step string, do func(ctx context.Context, r *job.Run) error) job.Kind {
		return job.Kind{Name: name, Every: time.Hour, Steps: []job.Step{{Name: step, Do: do}}}
	}
	return []job.Kind{
		hourly("signing-keys", "rotate", func(ctx context.Context, r *job.Run) error {
			added, err := keys.Rotate(ctx)
			r.Result(map[string]bool{"added": added})
			return err
		}),
		hourly("ended-logins", "purge", func(ctx context.Context, _ *job.Run) error { return store.Purge(ctx) }),
		{Name: "alarm-shelves", Every: time.Minute, Steps: []job.Step{{Name: "end", Do: func(ctx context.Context, r *job.Run) error {
			n, err := store.Alarms().EndAllShelves(ctx)
			r.Count("ended", int64(n))
			return err
		}}}},
		hourly("finished-jobs", "forget", func(ctx context.Context, r *job.Run) error {
			n, err := forget(ctx)
			r.Count("forgotten", n)
			return err
		}),
	}
}

// tenantWork is the long work on tenants.
func tenantWork(store *masterdata.Store, m *migrate.Migrator) []job.Kind {
	return []job.Kind{tenancy.ProvisionKind(store, m)}
}
