package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/config"
	"github.com/foodflow/foodflow/internal/doctor"
	"github.com/foodflow/foodflow/internal/letter"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/outbox"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/schemas/registry"
)

type doctorCmd struct {
	Roles      []string        `arg:"" optional:"" enum:"ingest,processors,api,migrate" help:"Roles whose configuration is looked at; all without one."`
	JSON       bool            `help:"Print JSON." name:"json"`
	Timeout    time.Duration   `help:"Longest time of a check." default:"15s"`
	DataDir    string          `help:"Folder whose disk is looked at." type:"path" default:"."`
	Group      string          `help:"Consumer group of the processors." default:"foodflow-processors"`
	Kafka      kafkaFlags      `embed:"" prefix:"kafka-"`
	Registry   registryFlags   `embed:"" prefix:"registry-"`
	Clickhouse clickhouseFlags `embed:"" prefix:"clickhouse-"`
	Postgres   postgresFlags   `embed:"" prefix:"postgres-"`
	Replica    replicaFlags    `embed:"" prefix:"postgres-replica-"`
}

// Run prints the findings and ends with 0, 1 (warnings) or 2 (errors).
func (c *doctorCmd) Run(e *env) error {
	checks := append(c.configured(e), doctor.OpenFiles(), doctor.Disk("machine.disk", c.DataDir))
	checks = append(checks, c.stores(e)...)
	report := doctor.Run(e.ctx, checks, c.Timeout)
	var err error
	if c.JSON {
		out := json.NewEncoder(e.out)
		out.SetIndent("", "  ")
		err = out.Encode(report)
	} else {
		err = report.WriteText(e.out)
	}
	if worst := report.Worst(); err == nil && worst > doctor.OK {
		err = exit(worst)
	}
	return err
}

// configured looks at the configuration of the roles and at the files it names.
func (c *doctorCmd) configured(e *env) (checks []doctor.Check) {
	roles := c.Roles
	if len(roles) == 0 {
		roles = roleNames()
	}
	seen := map[string]bool{}
	for _, role := range roles {
		p, ctx, err := e.again(append([]string{role}, c.stated(role)...)...)
		if err == nil {
			err = checkCommand(ctx)
		}
		checks = append(checks, doctor.Check{Name: "config." + role, Run: func(context.Context) []doctor.Finding { return faults(err) }})
		if ctx == nil {
			continue
		}
		for _, f := range config.Files(p.Values(ctx)) {
			if seen[f.Path] {
				continue
			}
			seen[f.Path] = true
			if f.Private {
				checks = append(checks, doctor.PrivateFile(f.Key, f.Path))
			} else {
				checks = append(checks, doctor.Certificates(f.Key, f.Path, time.Now()))
			}
		}
		if api, ok := ctx.Selected().Target.Addr().Interface().(*apiCmd); ok {
			// It is made at the first start; until then there is nothing to read.
			if _, err := os.Stat(api.SecretFile); err == nil {
				checks = append(checks, doctor.PrivateFile("secret_file", api.SecretFile))
			}
		}
	}
	return checks
}

// stated passes the addresses given to doctor itself on to a role.
func (c *doctorCmd) stated(role string) (args []string) {
	add := func(flag, value string, roles ...string) {
		if value != "" && slices.Contains(roles, role) {
			args = append(args, flag+"="+value)
		}
	}
	add("--kafka-brokers", strings.Join(c.Kafka.Brokers, ","), roleNames()...)
	add("--registry-url", c.Registry.URL, "ingest", "processors", "api")
	add("--clickhouse-url", c.Clickhouse.URL, "processors", "api", "migrate")
	add("--postgres-url", c.Postgres.URL, "api", "migrate")
	return args
}

// faults are those of a configuration, one a finding.
func faults(err error) []doctor.Finding {
	if err == nil {
		return doctor.Fine("is whole")
	}
	if only := new(config.Error); errors.As(err, &only) {
		err = only
	}
	var out []doctor.Finding
	for line := range strings.SplitSeq(err.Error(), "\n") {
		out = append(out, doctor.Finding{Severity: doctor.Error, What: line, Means: "the role does not start", Mend: "set it in the file, by its variable or its flag"})
	}
	return out
}

// slots gives how many slots insert into ClickHouse, 0 where Kafka doesn't tell;
// then the checks of Kafka say so.
func (c *doctorCmd) slots(ctx context.Context) int {
	if len(c.Kafka.Brokers) == 0 {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	ends, err := broker.EndOffsets(ctx, c.Kafka.config(), broker.TopicReadings)
	if err != nil {
		return 0
	}
	return len(ends)
}

// stores looks at every store that has an address.
func (c *doctorCmd) stores(e *env) (checks []doctor.Check) {
	if len(c.Kafka.Brokers) > 0 {
		checks = append(checks, broker.Checkup(c.Kafka.config(), c.Group)...)
		var open func(context.Context) (letter.Codec, error)
		if c.Registry.URL != "" {
			open = func(ctx context.Context) (letter.Codec, error) {
				return newRole(e, "doctor", "").codec(ctx, c.Registry, "")
			}
		}
		checks = append(checks, letter.Checkup(c.Kafka.config(), open))
	}
	broken := func(name string, err error) doctor.Check {
		return doctor.Check{Name: name, Run: func(context.Context) []doctor.Finding { return faults(err) }}
	}
	if c.Registry.URL != "" {
		if r, err := registry.New(c.Registry.config(), e.logger, prometheus.NewRegistry()); err != nil {
			checks = append(checks, broken("registry.reachable", err))
		} else {
			checks = append(checks, r.Checkup())
		}
	}
	if c.Clickhouse.URL != "" {
		if ch, err := clickhouse.NewClient(c.Clickhouse.config()); err != nil {
			checks = append(checks, broken("clickhouse.reachable", err))
		} else {
			checks = append(checks, ddl.Checkup(ch, c.slots(e.ctx))...)
		}
	}
	if c.Postgres.URL != "" {
		cfg := c.Postgres.config()
		cfg.Replica, cfg.ReplicaLag = c.Replica.URL, c.Replica.Lag
		checks = append(checks, postgres.Checkup(cfg)...)
		checks = append(checks, outbox.Checkup(cfg))
		if m, err := migrate.New(c.Postgres.migrator(1), e.logger); err != nil {
			checks = append(checks, broken("postgres.migrations", err))
		} else {
			checks = append(checks, m.Checkup())
		}
	}
	return checks
}
