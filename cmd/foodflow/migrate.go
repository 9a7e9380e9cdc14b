package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/migrate"
)

// migrateCmd brings the stores to what this program needs; alone it is up.
type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" default:"withargs" help:"Make or update topics, tables and schemas. A run that was cut short is resumed."`
	Status migrateStatusCmd `cmd:"" help:"Say which schemas of Postgres are behind, and why; ends with 1 when there are any."`
	Down   migrateDownCmd   `cmd:"" help:"Undo migrations of Postgres, before an older program is rolled out."`
}

// schemaFlags say where schemas are and how many are worked on at once.
type schemaFlags struct {
	Postgres postgresFlags `embed:"" prefix:"postgres-"`
	Parallel int           `help:"Tenants whose schemas are migrated at once." default:"4"`
}

// validate names what is wrong with the configuration.
func (f schemaFlags) validate() error {
	migrator := f.Postgres.migrator(f.Parallel)
	migrator.URL = cmp.Or(migrator.URL, "-") // postgres.Config says that it is missing
	return errors.Join(f.Postgres.config().Validate(), migrator.Validate())
}

// open makes the migrator and a bar for its progress.
func (f schemaFlags) open(e *env, what string) (*migrate.Migrator, *progressBar, func(done, total int), error) {
	m, err := migrate.New(f.Postgres.migrator(f.Parallel), e.logger)
	bar := newProgress(os.Stderr, what, "tenants")
	return m, bar, func(done, total int) { bar.show(int64(done), int64(total), int64(done)) }, err
}

type migrateUpCmd struct {
	Kafka      kafkaFlags      `embed:"" prefix:"kafka-"`
	Clickhouse clickhouseFlags `embed:"" prefix:"clickhouse-"`
	schemaFlags
}

// Run makes what is missing and ends.
func (c *migrateUpCmd) Run(e *env) error {
	m, bar, show, err := c.open(e, "migrated")
	if err != nil {
		return err
	}
	kafka := c.Kafka.config()
	cl, err := broker.Client(kafka)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := broker.EnsureTopics(e.ctx, cl, kafka.Partitions); err != nil {
		return unfinished(err)
	}
	slots, err := broker.EndOffsets(e.ctx, kafka, broker.TopicReadings)
	if err != nil {
		return unfinished(err)
	}
	ch, err := clickhouse.NewClient(c.Clickhouse.config())
	if err != nil {
		return err
	}
	defer ch.Close()
	tables := ddl.DefaultOptions(len(slots))
	tables.Cluster = ch.Cluster()
	if err := ddl.Apply(e.ctx, ch, tables); err != nil {
		return unfinished(err)
	}
	err = m.Up(e.ctx, show)
	bar.end()
	if err != nil {
		return unfinished(err)
	}
	e.logger.Info("topics, tables and schemas are up to date")
	return nil
}

// unfinished keeps an interrupted run from ending as if it had done its work:
// who waits for it would go on.
func unfinished(err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("interrupted, the next run goes on: %v", err) //nolint:errorlint // a canceled command would end with 0
	}
	return err
}

type migrateStatusCmd struct {
	Postgres postgresFlags `embed:"" prefix:"postgres-"`
	JSON     bool          `help:"Print JSON, every schema a line."`
}

// Check names what is wrong with the configuration.
func (c *migrateStatusCmd) Check() error { return c.Postgres.config().Validate() }

// schemaLine is one line of JSON.
type schemaLine struct {
	migrate.Status
	Behind bool `json:"behind"`
}

// Run prints every schema that is behind and says how many there are.
func (c *migrateStatusCmd) Run(e *env) error {
	m, err := migrate.New(c.Postgres.migrator(1), e.logger)
	if err != nil {
		return err
	}
	all, err := m.Status(e.ctx)
	if err != nil {
		return err
	}
	behind := 0
	enc := json.NewEncoder(e.out)
	for _, s := range all {
		if s.Lags() {
			behind++
		}
		if c.JSON {
			err = enc.Encode(schemaLine{s, s.Lags()})
		} else if s.Lags() {
			_, err = fmt.Fprintln(e.out, s)
		}
		if err != nil {
			return err
		}
	}
	if !c.JSON {
		if _, err := fmt.Fprintf(e.out, "%d schemas, %d behind\n", len(all), behind); err != nil {
			return err
		}
	}
	if behind > 0 {
		return exit(1)
	}
	return nil
}

type migrateDownCmd struct {
	schemaFlags
	TenantsTo int64 `help:"Version that the tenants' schemas go back to; without it they stay as they are." default:"-1" placeholder:"N"`
	SharedTo  int64 `help:"Version that the installation's schema goes back to; without it it stays as it is." default:"-1" placeholder:"N"`
	Yes       bool  `help:"Do it; without it only say what would be undone."`
}

// Check names what is wrong with the configuration.
func (c *migrateDownCmd) Check() error { return c.validate() }

// Run undoes what is above the versions given.
func (c *migrateDownCmd) Run(e *env) error {
	m, bar, show, err := c.open(e, "undone")
	if err != nil {
		return err
	}
	to := migrate.Versions{Shared: c.SharedTo, Tenants: c.TenantsTo}
	if c.Yes {
		err := m.Down(e.ctx, to, show)
		bar.end()
		return unfinished(err)
	}
	undone, err := m.Undone(e.ctx, to)
	if err != nil {
		return err
	}
	for _, s := range undone {
		if _, err := fmt.Fprintf(e.out, "schema %s would go from %d back to %d\n", s.Schema, s.At, s.Target); err != nil {
			return err
		}
	}
	if len(undone) == 0 {
		_, err := fmt.Fprintln(e.out, "nothing to undo")
		return err
	}
	if _, err := fmt.Fprintln(e.out, "What those migrations added would be deleted with its rows. Nothing is done without --yes."); err != nil {
		return err
	}
	return exit(1)
}
