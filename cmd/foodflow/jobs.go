package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/api/auth"
	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/tenant"
	"github.com/foodflow/foodflow/internal/annunciator"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/facts"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/tenancy"
	"github.com/foodflow/foodflow/processors/run"
	"github.com/foodflow/foodflow/processors/snapshot"
)

// hourly is a kind of periodic work of one step.
func hourly(name, step string, do func(ctx context.Context, r *job.Run) error) job.Kind {
	return job.Kind{Name: name, Every: time.Hour, Steps: []job.Step{{Name: step, Do: do}}}
}

// upkeep is the periodic work of the api role that belongs to no package alone.
func upkeep(keys *auth.Keys, store *masterdata.Store) []job.Kind {
	return []job.Kind{
		hourly("signing-keys", "rotate", func(ctx context.Context, r *job.Run) error {
			added, err := keys.Rotate(ctx)
			r.Result(map[string]bool{"added": added})
			return err
		}),
		hourly("ended-logins", "purge", func(ctx context.Context, _ *job.Run) error { return store.Purge(ctx) }),
		{Name: "alarms", Every: time.Minute, Steps: []job.Step{{Name: "tick", Do: func(ctx context.Context, r *job.Run) error {
			ended, told, err := store.Alarms().Tick(ctx)
			r.Count("shelves_ended", int64(ended))
			r.Count("chattering_told", int64(told))
			return err
		}}}},
	}
}

// settle is how long after a suspension the last accepted reading is on Kafka:
// ingest knows within a second, and a request lasts no longer than this.
const settle = 10 * time.Second

// patience is how long one attempt of a deletion waits for processors or relay.
const patience = 2 * time.Minute

// tenantWork is the long work on tenants.
func (c *apiCmd) tenantWork(store *masterdata.Store, m *migrate.Migrator, ch *clickhouse.Client, cl *kgo.Client, secret []byte) []job.Kind {
	rows := tenant.New(ch)
	kafka := c.Kafka.config()
	results := []tenancy.Reader{
		{Group: c.ProcessorsGroup, Topics: run.Inputs()},
		{Group: facts.Group, Topics: facts.Topics()},
		{Group: annunciator.Group, Topics: annunciator.Topics()},
	}
	return []job.Kind{
		tenancy.ProvisionKind(store, m),
		tenancy.ExportKind(&tenancy.Exporter{Store: store, Rows: rows, Now: time.Now}, c.ArchivesDir),
		tenancy.DeleteKind(&tenancy.Eraser{
			Store: store, Schemas: m, Rows: rows, Log: broker.NewLog(kafka, cl), Signer: tenancy.NewSigner(secret), Readers: results,
			Archives: c.ArchivesDir, StateHead: snapshot.HeadSize, Settle: settle, Patience: patience, Now: time.Now,
		}),
	}
}
