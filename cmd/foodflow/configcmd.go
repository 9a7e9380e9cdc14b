package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/foodflow/foodflow/api"
	"github.com/foodflow/foodflow/internal/config"
	"github.com/foodflow/foodflow/internal/postgres"
)

//go:generate go run . config reference ../../deploy/configuration.md

// configCmd shows and checks the configuration.
type configCmd struct {
	Check     configCheckCmd     `cmd:"" help:"Name what is wrong with the configuration, of some roles or all; reaches for nothing."`
	Print     configPrintCmd     `cmd:"" help:"Print what holds for a command and where it was set, secrets redacted."`
	Reference configReferenceCmd `cmd:"" help:"Write the page of all settings." hidden:""`
}

// checked are the commands with a configuration that can be wrong.
type checked interface{ Check() error }

// checkCommand asks the chosen command what is wrong with its settings.
func checkCommand(ctx *kong.Context) error {
	if c, ok := ctx.Selected().Target.Addr().Interface().(checked); ok {
		if err := c.Check(); err != nil {
			return config.Fault(errors.New(asKeys(err.Error())))
		}
	}
	return nil
}

// asKeys names faults by the settings' keys where a package's own name for a
// field is another: a package doesn't know what its fields are set by.
func asKeys(text string) string {
	return strings.NewReplacer(
		"api.addr:", "http_addr:", "api.origins:", "origins:", "api.read:", "http.read_timeout:", "api.write:", "http.write_timeout:", "api.idle:", "http.idle_timeout:",
		"stream.group:", "group:", "stream.session_timeout:", "session_timeout:", "stream.generation:", "generation:",
		"postgres.max_conns:", "postgres.connections:", "postgres.replica_url:", "postgres.replica.url:", "postgres.replica_lag:", "postgres.replica.lag:",
		"clickhouse.conns:", "clickhouse.connections:",
	).Replace(text)
}

// roleNames are the commands that make an installation.
func roleNames() []string { return []string{"ingest", "processors", "api", "migrate"} }

type configCheckCmd struct {
	Roles []string `arg:"" optional:"" enum:"ingest,processors,api,migrate" help:"Roles; all without one."`
}

// Run prints a fault a line and ends with 1 when there is one.
func (c *configCheckCmd) Run(e *env) error {
	roles := c.Roles
	if len(roles) == 0 {
		roles = roleNames()
	}
	var seen []string
	for _, role := range roles {
		_, args, err := e.again(role)
		if err == nil {
			err = checkCommand(args)
		}
		if err == nil {
			continue
		}
		if only := new(config.Error); errors.As(err, &only) {
			err = only // without the flag that kong was at
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !slices.Contains(seen, line) {
				seen = append(seen, line)
				fmt.Fprintln(e.out, line)
			}
		}
	}
	if len(seen) > 0 {
		return exit(1)
	}
	return nil
}

// again parses another command line under the same variables and file.
func (e *env) again(args ...string) (*config.Program, *kong.Context, error) {
	if e.config != "" {
		args = append([]string{"--config", e.config}, args...)
	}
	p, err := newProgram(new(cli))
	if err != nil {
		return nil, nil, err
	}
	ctx, err := p.Parse(args)
	return p, ctx, err
}

type configPrintCmd struct {
	JSON    bool     `help:"Print JSON." name:"json"`
	Command []string `arg:"" passthrough:"" help:"Command, with flags if any: ingest --http-addr :8081"`
}

// Run prints the values.
func (c *configPrintCmd) Run(e *env) error {
	p, ctx, err := e.again(c.Command...)
	if err != nil {
		return err
	}
	values := p.Values(ctx)
	if c.JSON {
		out := json.NewEncoder(e.out)
		out.SetIndent("", "  ")
		return out.Encode(values)
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	for _, v := range values {
		fmt.Fprintf(w, "%s\t%v\t%s\n", v.Key, v.Value, v.Source)
	}
	return w.Flush()
}

type configReferenceCmd struct {
	File string `arg:"" type:"path" help:"Where it is written."`
}

// Run writes the page anew.
func (c *configReferenceCmd) Run(*env) error {
	p, err := newProgram(new(cli))
	if err != nil {
		return err
	}
	f, err := os.Create(c.File)
	if err != nil {
		return fmt.Errorf("writing the reference: %w", err)
	}
	if _, err := fmt.Fprint(f, referenceHead); err != nil {
		return errors.Join(fmt.Errorf("writing the reference: %w", err), f.Close())
	}
	return errors.Join(p.Reference(f, "ingest", "processors", "api", "migrate up", "up"), f.Close())
}

const referenceHead = `# Settings

Written by ` + "`make generate`" + ` from the flags. A default gives way to the file (YAML, ` + "`--config FILE` or `FOODFLOW_CONFIG`" + `), the file to the variable, the variable to the flag (` + "`--kafka-brokers` for `kafka.brokers`" + `). In the file a key holds for all commands that have it; below the name of a command, for that command alone. An unknown key or variable is an error. ` + "`foodflow config check`" + ` names what is wrong, ` + "`foodflow config print ROLE`" + ` what holds and where it was set. Lists are written with commas in variables.
`

// Check names what is wrong with the configuration.
func (c *ingestCmd) Check() error {
	return errors.Join(c.Kafka.config().Validate(), c.Registry.config().Validate(), c.Quota.limits().Validate(), c.MQTT.config().Validate(), c.HTTP.validate(),
		c.HTTPTLS.files().Validate("http.tls"), c.MQTTTLS.files().Validate("mqtt.tls"), c.Admin.TLS.files().Validate("admin.tls"))
}

// Check names what is wrong with the configuration.
func (c *processorsCmd) Check() error {
	return errors.Join(c.Kafka.config().Validate(), c.Registry.config().Validate(), c.Clickhouse.config().Validate(), c.stream().Validate(),
		c.Admin.TLS.files().Validate("admin.tls"))
}

// Check names what is wrong with the configuration.
func (c *apiCmd) Check() error {
	var hashes error
	if c.Hashes < 0 || c.Hashes > 1024 {
		hashes = errors.New("hashes: must be between 0 and 1024")
	}
	return errors.Join(hashes, c.Kafka.config().Validate(), c.Registry.config().Validate(), c.Clickhouse.config().Validate(), c.postgres().Validate(),
		c.config(make([]byte, secretBytes)).Validate(), c.HTTPTLS.files().Validate("http.tls"), c.Admin.TLS.files().Validate("admin.tls"))
}

// Check names what is wrong with the configuration.
func (c *migrateUpCmd) Check() error {
	return errors.Join(c.Kafka.config().Validate(), c.Clickhouse.config().Validate(), c.validate())
}

// postgres is the API's, with the replica.
func (c *apiCmd) postgres() postgres.Config {
	cfg := c.Postgres.config()
	cfg.Replica, cfg.ReplicaLag = c.Replica.URL, c.Replica.Lag
	return cfg
}

// config is the API's.
func (c *apiCmd) config(secret []byte) api.Config {
	cfg := api.DefaultConfig()
	cfg.Addr, cfg.Secret, cfg.Origins, cfg.Proxies, cfg.OperatorTenant, cfg.TLS, cfg.Version = c.HTTPAddr, secret, c.Origins, c.Proxies, c.OperatorTenant, c.BehindTLS || c.HTTPTLS.files().Enabled(), version
	cfg.Quotas = c.Quota.quotas()
	cfg.Read, cfg.Write, cfg.Idle = c.HTTP.ReadTimeout, c.HTTP.WriteTimeout, c.HTTP.IdleTimeout
	return cfg
}

// validate names what is wrong with the listener.
func (f httpFlags) validate() error {
	if f.Connections < 1 || f.ReadTimeout <= 0 {
		return errors.New("http.connections, http.read_timeout: must be positive")
	}
	return nil
}
