package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/tenant"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/tenancy"
)

type tenantExportCmd struct {
	storeFlags
	Tenant     string          `arg:"" help:"Key or id."`
	Dir        string          `help:"Folder for the archive; what an interrupted export left there is gone on with." type:"path" default:"."`
	Clickhouse clickhouseFlags `embed:"" prefix:"clickhouse-"`
	JSON       bool            `help:"Print JSON."`
}

// Run writes KEY-export.tar.
func (c *tenantExportCmd) Run(e *env) error {
	store, _, done, err := c.open(e)
	if err != nil {
		return err
	}
	defer done()
	ch, err := clickhouse.NewClient(c.Clickhouse.config())
	if err != nil {
		return err
	}
	defer ch.Close()
	bar := newProgress(os.Stderr, "exported", "rows")
	defer bar.end()
	x := &tenancy.Exporter{Store: store, Rows: tenant.New(ch), Now: time.Now}
	a, err := x.Export(e.ctx, c.Tenant, c.Dir, "export", func(part float64, rows int64) { bar.show(int64(part*1000), 1000, rows) })
	if err != nil {
		return err
	}
	bar.end()
	if c.JSON {
		return json.NewEncoder(e.out).Encode(a)
	}
	_, err = fmt.Fprintf(e.out, "%s: %d rows in %d files, %d bytes, SHA-256 %s\n", a.Name, a.Rows, a.Files, a.Bytes, a.SHA256)
	return err
}

type tenantDeleteCmd struct {
	storeFlags
	Tenant  string `arg:"" help:"Key or id of a suspended tenant."`
	Confirm string `help:"The tenant's name, as it is." required:"" placeholder:"NAME"`
}

// Run asks for the job, which an api process does, and follows it. Interrupted,
// it leaves the job as it is; run again it follows on.
func (c *tenantDeleteCmd) Run(e *env) error {
	db, err := postgres.Open(e.ctx, c.Postgres.config())
	if err != nil {
		return err
	}
	defer db.Close()
	store := masterdata.New(db, time.Now)
	t, err := store.Tenant(e.ctx, c.Tenant)
	if err != nil {
		return err
	}
	if err := tenancy.Confirm(t, c.Confirm); err != nil {
		return err
	}
	cfg := job.DefaultConfig()
	cfg.Workers = 0
	jobs, err := job.New(cfg, db, nil, nil, e.logger)
	if err != nil {
		return err
	}
	j, err := jobs.Ask(e.ctx, job.Request{Kind: tenancy.KindDelete, Tenant: t.ID, TenantKey: t.Key, Actor: "system"})
	if err != nil {
		return err
	}
	if j, err = follow(e.ctx, jobs, j); err != nil {
		return err
	}
	if j.State == job.Failed {
		return fmt.Errorf("deleting tenant %s: %s", t.Key, j.Error)
	}
	d, err := store.Deletion(e.ctx, t.ID.String())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.out, d.Text)
	return err
}

// followEvery is how often a job is looked at.
const followEvery = 500 * time.Millisecond

// follow shows a job's progress until it has ended.
func follow(ctx context.Context, jobs *job.Service, j *job.Job) (_ *job.Job, err error) {
	bar := newProgress(os.Stderr, "deleted", "rows")
	defer bar.end()
	said := ""
	for j.Open() {
		bar.show(int64(j.Share*1000), 1000, j.Counts["rows"])
		if s := j.Phase + ": " + j.Error; j.Error != "" && s != said {
			bar.end()
			fmt.Fprintln(os.Stderr, s)
			said = s
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), fmt.Errorf("job %s goes on without this command", j.ID))
		case <-time.After(followEvery):
		}
		if j, err = jobs.Get(ctx, j.ID); err != nil {
			return nil, err
		}
	}
	return j, nil
}

type tenantReportCmd struct {
	storeFlags
	Tenant     string `arg:"" help:"Id that the tenant had, or its key: then the last one that had it."`
	SecretFile string `help:"The installation's secret: then the signatures must be its own." type:"existingfile" placeholder:"FILE"`
}

// Run prints the report as it was signed, after checking all of them.
func (c *tenantReportCmd) Run(e *env) error {
	store, _, done, err := c.open(e)
	if err != nil {
		return err
	}
	defer done()
	d, err := store.Deletion(e.ctx, c.Tenant)
	if err != nil {
		return err
	}
	var public []byte
	if c.SecretFile != "" {
		secret, err := loadSecret(c.SecretFile)
		if err != nil {
			return err
		}
		public = tenancy.NewSigner(secret).Public()
	}
	chain, err := store.Deletions(e.ctx)
	if err != nil {
		return err
	}
	if err := tenancy.Check(chain, public); err != nil {
		return fmt.Errorf("checking the reports: %w", err)
	}
	_, err = fmt.Fprintln(e.out, d.Text)
	return err
}
