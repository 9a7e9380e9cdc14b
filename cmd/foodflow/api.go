package main

import (
	"context"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/outbox"
	"github.com/foodflow/foodflow/internal/postgres"
)

type apiCmd struct {
	AdminAddr   string        `help:"Listen for operators." default:"127.0.0.1:9083"`
	CacheDir    string        `help:"Folder for what the registry said." placeholder:"DIR"`
	Kafka       kafkaFlags    `embed:"" prefix:"kafka-"`
	Registry    registryFlags `embed:"" prefix:"registry-"`
	PostgresURL string        `help:"Postgres." name:"postgres-url" placeholder:"URL"`
}

// Run serves until told to stop.
func (c *apiCmd) Run(e *env) error {
	r := newRole(e, "api", c.AdminAddr)
	codec, err := r.codec(e.ctx, c.Registry, c.CacheDir)
	if err != nil {
		return err
	}
	pcfg := postgres.DefaultConfig()
	pcfg.URL = c.PostgresURL
	db, err := postgres.Open(e.ctx, pcfg)
	if err != nil {
		return err
	}
	defer db.Close()
	cl, err := broker.Client(c.Kafka.config())
	if err != nil {
		return err
	}
	defer cl.Close()
	relay, err := outbox.New(outbox.DefaultConfig(), db, cl, codec, r.reg, r.logger)
	if err != nil {
		return err
	}
	if err := r.start(e.ctx, "outbox relay", relay.Run); err != nil {
		return err
	}
	r.admin.AddCheck("postgres", db.Ping)
	r.admin.AddCheck("kafka", func(ctx context.Context) error { return cl.Ping(ctx) })
	return r.serve(e.ctx)
}
