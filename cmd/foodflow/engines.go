package main

import (
	"github.com/foodflow/foodflow/clickhouse/embedded"
	kafkaembedded "github.com/foodflow/foodflow/internal/broker/embedded"
	"github.com/foodflow/foodflow/internal/lifecycle"
)

type kafkaEngineCmd struct {
	Dir  string `required:""`
	Addr string `required:""`
}

// Run serves until told to stop.
func (c *kafkaEngineCmd) Run(e *env) error {
	return kafkaembedded.Serve(e.ctx, kafkaembedded.Config{Dir: c.Dir, Addr: c.Addr}, e.logger, func(string) { lifecycle.Ready() })
}

type clickhouseEngineCmd struct {
	Library string `required:""`
	Dir     string `required:""`
	Addr    string `required:""`
}

// Run serves until told to stop.
func (c *clickhouseEngineCmd) Run(e *env) error {
	cfg := embedded.DefaultConfig()
	cfg.Library, cfg.Dir, cfg.Addr = c.Library, c.Dir, c.Addr
	return embedded.Serve(e.ctx, cfg, e.logger, func(string) { lifecycle.Ready() })
}
