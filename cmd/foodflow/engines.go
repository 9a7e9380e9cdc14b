package main

import (
	"github.com/foodflow/foodflow/clickhouse/embedded"
	kafkaembedded "github.com/foodflow/foodflow/internal/broker/embedded"
	"github.com/foodflow/foodflow/internal/lifecycle"
)

type kafkaEngineCmd struct {
	Dir  string `required:""`
	Addr string `required:""`
	Sync bool
}

// Run serves until told to stop.
func (c *kafkaEngineCmd) Run(e *env) error {
	return kafkaembedded.Serve(e.ctx, kafkaembedded.Config{Dir: c.Dir, Addr: c.Addr, Sync: c.Sync}, e.logger, func(string) { lifecycle.Ready() })
}

// accountFlags say who may use the embedded ClickHouse.
type accountFlags struct {
	Password string `help:"Password of the user." secret:""`
	Analysts string `help:"Accounts of the embedded ClickHouse that only read, for BI tools: a JSON list of name, password or password_file, databases, and optionally rows, max_memory_bytes, max_time, max_result_bytes. Needs a password of the user default." secret:""`
}

// config is the engine's, with the accounts and without its place.
func (f accountFlags) config() (cfg embedded.Config, err error) {
	cfg = embedded.DefaultConfig()
	cfg.Password = f.Password
	if cfg.Analysts, err = embedded.ParseAnalysts(f.Analysts); err != nil {
		return cfg, err
	}
	return cfg, cfg.Validate()
}

// environ hands the accounts to a child, in place of what it would inherit.
func (f accountFlags) environ() []string {
	return []string{
		"FOODFLOW_CLICKHOUSE_PASSWORD=" + f.Password, "FOODFLOW_CLICKHOUSE_PASSWORD_FILE=",
		"FOODFLOW_CLICKHOUSE_ANALYSTS=" + f.Analysts, "FOODFLOW_CLICKHOUSE_ANALYSTS_FILE=",
	}
}

type clickhouseEngineCmd struct {
	Library    string       `required:""`
	Dir        string       `required:""`
	Addr       string       `required:""`
	Clickhouse accountFlags `embed:"" prefix:"clickhouse-"`
}

// Check names what is wrong with the accounts.
func (c *clickhouseEngineCmd) Check() error {
	_, err := c.Clickhouse.config()
	return err
}

// Run serves until told to stop.
func (c *clickhouseEngineCmd) Run(e *env) error {
	cfg, err := c.Clickhouse.config()
	if err != nil {
		return err
	}
	cfg.Library, cfg.Dir, cfg.Addr = c.Library, c.Dir, c.Addr
	return embedded.Serve(e.ctx, cfg, e.logger, func(string) { lifecycle.Ready() })
}
