package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/password"
	"github.com/foodflow/foodflow/internal/postgres"
)

// tenantsCmd manages the customers of an installation. What it changes reaches
// the other roles through the outbox, like every change.
type tenantsCmd struct {
	Create  tenantCreateCmd  `cmd:"" help:"Make a tenant with its schema, first admin and an API key."`
	List    tenantListCmd    `cmd:"" help:"List tenants."`
	Suspend tenantSuspendCmd `cmd:"" help:"Refuse a tenant's keys and log-ins."`
	Resume  tenantResumeCmd  `cmd:"" help:"Accept them again."`
	Export  tenantExportCmd  `cmd:"" help:"Write all that is kept of a tenant into one archive."`
	Delete  tenantDeleteCmd  `cmd:"" help:"Delete a suspended tenant with all that is kept of it, and print the report."`
	Report  tenantReportCmd  `cmd:"" help:"Print the report of a deletion and check the chain of reports."`
}

// storeFlags open the master data.
type storeFlags struct {
	Postgres postgresFlags `embed:"" prefix:"postgres-"`
}

// Check names what is wrong with the configuration.
func (f storeFlags) Check() error { return f.Postgres.config().Validate() }

func (f storeFlags) open(e *env) (*masterdata.Store, *migrate.Migrator, func(), error) {
	m, err := migrate.New(f.Postgres.migrator(1), e.logger)
	if err != nil {
		return nil, nil, nil, err
	}
	db, err := postgres.Open(e.ctx, f.Postgres.config())
	if err != nil {
		return nil, nil, nil, err
	}
	return masterdata.New(db, time.Now), m, db.Close, nil
}

type tenantCreateCmd struct {
	storeFlags
	Key          string `arg:"" help:"Lower-case letters, digits and dashes."`
	Name         string `arg:"" help:"What people call it."`
	AdminEmail   string `help:"Log-in of the first admin." required:"" placeholder:"ADDRESS"`
	PasswordFile string `help:"File with the admin's password; without it one is made and printed." type:"existingfile" placeholder:"FILE"`
	JSON         bool   `help:"Print JSON."`
}

// created is what is printed, this once.
type created struct {
	ID       string `json:"id"`
	Key      string `json:"key"`
	Email    string `json:"email"`
	Password string `json:"password,omitempty"`
	APIKey   string `json:"api_key"`
}

// Run makes the tenant. Run again after an interruption it finishes the work.
func (c *tenantCreateCmd) Run(e *env) error {
	store, m, done, err := c.open(e)
	if err != nil {
		return err
	}
	defer done()
	out := created{Key: c.Key, Email: c.AdminEmail, Password: secret()}
	clear := out.Password
	if c.PasswordFile != "" {
		b, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return fmt.Errorf("reading the password: %w", err)
		}
		clear, out.Password = strings.TrimSpace(string(b)), ""
	}
	if t, err := store.Tenant(e.ctx, c.Key); err == nil && t.State != masterdata.TenantProvisioning {
		return fmt.Errorf("tenant %s is there already, made %s", t.Key, t.CreatedAt.Format(time.DateOnly))
	}
	hash, err := password.New(1, time.Minute).Hash(e.ctx, clear)
	if err != nil {
		return err
	}
	admin := masterdata.User{UserFields: masterdata.UserFields{Email: c.AdminEmail, Name: c.AdminEmail}, Hash: hash}
	t, err := store.Provision(e.ctx, m, masterdata.NewTenant{Key: c.Key, Name: c.Name, Admin: admin})
	if err != nil {
		return err
	}
	_, key, err := store.APIKeys().Create(e.ctx, masterdata.System(t.ID), masterdata.APIKeyFields{Name: "First key", Scopes: directory.Scopes()})
	if err != nil {
		return err
	}
	out.ID, out.APIKey = t.ID.String(), key.Reveal()
	if c.JSON {
		return json.NewEncoder(e.out).Encode(out)
	}
	_, err = fmt.Fprintf(e.out, "tenant    %s (%s)\nlog-in    %s %s\nAPI key   %s\nNeither password nor key is shown again.\n", out.Key, out.ID, out.Email, out.Password, out.APIKey)
	return err
}

type tenantListCmd struct {
	storeFlags
	JSON bool `help:"Print JSON, one tenant a line."`
}

// Run lists every tenant by key.
func (c *tenantListCmd) Run(e *env) error {
	store, _, done, err := c.open(e)
	if err != nil {
		return err
	}
	defer done()
	table := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	enc := json.NewEncoder(e.out)
	for after, more := "", true; more; {
		var ts []*masterdata.Tenant
		if ts, more, err = store.Tenants(e.ctx, after, masterdata.MaxPage); err != nil {
			return err
		}
		for _, t := range ts {
			after = t.Key
			if c.JSON {
				err = enc.Encode(t)
			} else {
				_, err = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", t.Key, t.State, t.ID, t.Name)
			}
			if err != nil {
				return err
			}
		}
	}
	return table.Flush()
}

type tenantSuspendCmd struct {
	storeFlags
	Tenant string `arg:"" help:"Key or id."`
}

// Run suspends.
func (c *tenantSuspendCmd) Run(e *env) error {
	store, _, done, err := c.open(e)
	if err != nil {
		return err
	}
	defer done()
	_, err = store.Suspend(e.ctx, c.Tenant)
	return err
}

type tenantResumeCmd struct {
	storeFlags
	Tenant string `arg:"" help:"Key or id."`
}

// Run resumes.
func (c *tenantResumeCmd) Run(e *env) error {
	store, _, done, err := c.open(e)
	if err != nil {
		return err
	}
	defer done()
	_, err = store.Resume(e.ctx, c.Tenant)
	return err
}
