package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/httpin"
	"github.com/foodflow/foodflow/ingest/kafkaout"
	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/run"
)

// stopLimit bounds the end of one component.
const stopLimit = 40 * time.Second

type ingestCmd struct {
	HTTPAddr  string        `help:"Listen for HTTP." name:"http-addr" default:"127.0.0.1:8081"`
	HTTP      httpFlags     `embed:"" prefix:"http-"`
	HTTPTLS   serverTLS     `embed:"" prefix:"http-tls-"`
	MQTTAddr  string        `help:"Listen for MQTT." name:"mqtt-addr" default:"127.0.0.1:1883"`
	MQTTTLS   serverTLS     `embed:"" prefix:"mqtt-tls-"`
	MQTT      mqttFlags     `embed:"" prefix:"mqtt-"`
	AdminAddr string        `help:"Listen for operators." default:"127.0.0.1:9081"`
	Admin     adminFlags    `embed:"" prefix:"admin-"`
	CacheDir  string        `help:"Folder for what the registry said." placeholder:"DIR"`
	Kafka     kafkaFlags    `embed:"" prefix:"kafka-"`
	Registry  registryFlags `embed:"" prefix:"registry-"`
	Quota     quotaFlags    `embed:"" prefix:"quota-"`
}

// Run serves until told to stop.
func (c *ingestCmd) Run(e *env) error {
	r := newRole(e, "ingest", c.AdminAddr)
	if err := r.secureAdmin(c.Admin); err != nil {
		return err
	}
	kafka := c.Kafka.config()
	codec, err := r.codec(e.ctx, c.Registry, c.CacheDir)
	if err != nil {
		return err
	}
	store, err := r.follow(e.ctx, kafka, codec)
	if err != nil {
		return err
	}
	if err := r.tellUses(e.ctx, kafka, store, codec); err != nil {
		return err
	}
	out, err := kafkaout.New(kafka, kafkaout.DefaultConfig())
	if err != nil {
		return err
	}
	svc, err := ingest.NewService(store, codec, out, c.Quota.limits(), r.reg)
	if err != nil {
		return err
	}
	cfg := httpin.DefaultConfig()
	cfg.Addr, cfg.Tracer = c.HTTPAddr, r.tracer
	cfg.Connections, cfg.ReadTimeout = c.HTTP.Connections, c.HTTP.ReadTimeout
	if cfg.TLS, err = r.secure("http", c.HTTPTLS); err != nil {
		return err
	}
	door := httpin.New(cfg, svc, r.logger)
	nothing := func(context.Context) error { return nil }
	if err := r.group.Start(e.ctx, "kafka producer", nothing, out.Close); err != nil {
		return err
	}
	if err := r.group.Start(e.ctx, "http", func(ctx context.Context) error { return door.Start(ctx, r.group.Fail) }, door.Stop); err != nil {
		return err
	}
	mcfg := c.MQTT.config()
	mcfg.Addr, mcfg.Tracer = c.MQTTAddr, r.tracer
	if mcfg.TLS, err = r.secure("mqtt", c.MQTTTLS); err != nil {
		return err
	}
	mqtt, err := mqttin.New(mcfg, svc, kafkaout.DeadLetters{Out: out, Encoder: codec}, r.logger, r.reg)
	if err != nil {
		return err
	}
	if err := r.group.Start(e.ctx, "mqtt", mqtt.Start, mqtt.Stop); err != nil {
		return err
	}
	r.admin.AddCheck("kafka", out.Ready)
	return r.serve(e.ctx)
}

type processorsCmd struct {
	AdminAddr  string          `help:"Listen for operators." default:"127.0.0.1:9082"`
	Admin      adminFlags      `embed:"" prefix:"admin-"`
	CacheDir   string          `help:"Folder for what the registry said." placeholder:"DIR"`
	Group      string          `help:"Consumer group." default:"foodflow-processors"`
	Session    time.Duration   `help:"Silence after which the group gives a processor's partitions away." name:"session-timeout" default:"20s"`
	Generation uint64          `help:"Raise it, together with a ClickHouse database that is empty, to process everything on Kafka again from empty state." default:"0"`
	Kafka      kafkaFlags      `embed:"" prefix:"kafka-"`
	Registry   registryFlags   `embed:"" prefix:"registry-"`
	Clickhouse clickhouseFlags `embed:"" prefix:"clickhouse-"`
}

// Run processes until told to stop.
func (c *processorsCmd) Run(e *env) error {
	r := newRole(e, "processors", c.AdminAddr)
	if err := r.secureAdmin(c.Admin); err != nil {
		return err
	}
	kafka := c.Kafka.config()
	ch, err := clickhouse.NewClient(c.Clickhouse.config())
	if err != nil {
		return err
	}
	codec, err := r.codec(e.ctx, c.Registry, c.CacheDir)
	if err != nil {
		return err
	}
	store, err := r.follow(e.ctx, kafka, codec)
	if err != nil {
		return err
	}
	slots, err := broker.EndOffsets(e.ctx, kafka, broker.TopicReadings)
	if err != nil {
		return err
	}
	if err := checkTables(e.ctx, ch, len(slots)); err != nil {
		return err
	}
	job, err := run.Open(c.stream(), run.JobDeps{Kafka: kafka, ClickHouse: ch, Codec: codec, Directory: store, Logger: r.logger, Registry: r.reg, Tracer: r.tracer})
	if err != nil {
		return err
	}
	defer job.Close()
	r.admin.AddCheck("kafka", job.Ping)
	r.admin.AddCheck("clickhouse", func(ctx context.Context) error {
		_, err := ch.Exec(ctx, "SELECT 1", nil)
		return err
	})
	if err := r.start(e.ctx, "job", job.Run); err != nil {
		return err
	}
	return r.serve(e.ctx)
}

// stream is the job's configuration.
func (c *processorsCmd) stream() stream.Config {
	cfg := stream.DefaultConfig()
	cfg.Group, cfg.Inputs, cfg.Generation, cfg.SessionTimeout = c.Group, run.Inputs(), c.Generation, c.Session
	return cfg
}

// start adds a component that is one function running until its context ends.
func (r *role) start(ctx context.Context, name string, run func(context.Context) error) error {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	return r.group.Start(ctx, name, func(context.Context) error {
		go func() {
			err := run(own)
			if own.Err() == nil {
				r.group.Fail(fmt.Errorf("%s ended: %w", name, err))
			}
			done <- err
		}()
		return nil
	}, func(ctx context.Context) error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// checkTables refuses to run on tables that exactly-once can't rest on. While
// ClickHouse is away it waits: the readings are safe on Kafka.
func checkTables(ctx context.Context, ch *clickhouse.Client, slots int) error {
	for {
		err := ddl.Check(ctx, ch, slots)
		if err == nil || !clickhouse.IsTransient(err) || isDatabaseFault(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}

// isDatabaseFault says whether ClickHouse answered, so that waiting won't help.
func isDatabaseFault(err error) bool {
	var ex *clickhouse.Exception
	return errors.As(err, &ex)
}
