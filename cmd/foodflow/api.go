package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/api"
	"github.com/foodflow/foodflow/api/auth"
	"github.com/foodflow/foodflow/api/live"
	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/annunciator"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/facts"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/outbox"
	"github.com/foodflow/foodflow/internal/password"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/schemas"
)

type apiCmd struct {
	HTTPAddr        string          `help:"Listen for HTTP." name:"http-addr" default:"127.0.0.1:8080"`
	HTTP            apiHTTPFlags    `embed:"" prefix:"http-"`
	HTTPTLS         serverTLS       `embed:"" prefix:"http-tls-"`
	AdminAddr       string          `help:"Listen for operators." default:"127.0.0.1:9083"`
	Admin           adminFlags      `embed:"" prefix:"admin-"`
	CacheDir        string          `help:"Folder for what the registry said." placeholder:"DIR"`
	SecretFile      string          `help:"File with the installation's secret, 64 hexadecimal digits; made when missing." type:"path" default:"foodflow.secret"`
	Origins         []string        `help:"Origins that may call from a browser." placeholder:"URL"`
	Proxies         []netip.Prefix  `help:"Networks of the proxies in front of this port, whose X-Forwarded-For tells a client's address." placeholder:"CIDR"`
	OperatorTenant  string          `help:"Key of the tenant whose admins manage tenants." placeholder:"KEY"`
	Hashes          int             `help:"Passwords that are hashed at once, at 19 MiB and the work of a core each; further log-ins wait for their turn, then are told to come back. 0: two a core." default:"0"`
	BehindTLS       bool            `help:"Clients reach this port by HTTPS through something in front of it." name:"behind-tls"`
	ArchivesDir     string          `help:"Folder where exports of tenants lie; every api process of an installation needs the same." type:"path" default:"foodflow.archives"`
	ProcessorsGroup string          `help:"Consumer group of the processors, which a tenant's deletion waits for." default:"foodflow-processors"`
	Quota           rateFlags       `embed:"" prefix:"quota-"`
	Kafka           kafkaFlags      `embed:"" prefix:"kafka-"`
	Registry        registryFlags   `embed:"" prefix:"registry-"`
	Clickhouse      clickhouseFlags `embed:"" prefix:"clickhouse-"`
	Postgres        postgresFlags   `embed:"" prefix:"postgres-"`
	Replica         replicaFlags    `embed:"" prefix:"postgres-replica-"`
}

// Run serves until told to stop.
func (c *apiCmd) Run(e *env) error {
	r := newRole(e, "api", c.AdminAddr)
	if err := r.secureAdmin(c.Admin); err != nil {
		return err
	}
	codec, err := r.codec(e.ctx, c.Registry, c.CacheDir)
	if err != nil {
		return err
	}
	db, err := postgres.Open(e.ctx, c.postgres())
	if err != nil {
		return err
	}
	defer db.Close()
	db.Register(r.reg)
	cl, err := broker.Client(c.Kafka.config())
	if err != nil {
		return err
	}
	defer cl.Close()
	ocfg := outbox.DefaultConfig()
	ocfg.Tracer = r.tracer
	relay, err := outbox.New(ocfg, db, cl, codec, r.reg, r.logger)
	if err != nil {
		return err
	}
	if err := r.start(e.ctx, "outbox relay", relay.Run); err != nil {
		return err
	}
	server, ch, err := c.server(e, r, db, codec, cl)
	if err != nil {
		return err
	}
	if err := r.group.Start(e.ctx, "http", func(ctx context.Context) error { return server.Start(ctx, r.group.Fail) }, server.Stop); err != nil {
		return err
	}
	r.admin.AddPart("postgres", db.Ping)
	r.admin.AddPart("kafka", func(ctx context.Context) error { return cl.Ping(ctx) })
	r.admin.AddPart("clickhouse", ch.Ping)
	return r.serve(e.ctx)
}

// server puts the API together.
func (c *apiCmd) server(e *env, r *role, db *postgres.DB, codec *schemas.Codec, cl *kgo.Client) (*api.Server, *query.Reader, error) {
	secret, err := loadSecret(c.SecretFile)
	if err != nil {
		return nil, nil, err
	}
	dir, err := r.follow(e.ctx, c.Kafka.config(), codec)
	if err != nil {
		return nil, nil, err
	}
	chc, err := clickhouse.NewClient(c.Clickhouse.config())
	if err != nil {
		return nil, nil, err
	}
	ch := query.New(chc, c.HTTP.QueryTimeout)
	m, err := migrate.New(c.Postgres.migrator(1), r.logger)
	if err != nil {
		return nil, nil, err
	}
	store := masterdata.New(db, time.Now)
	acfg := auth.DefaultConfig()
	acfg.Secret = secret
	keys, err := auth.NewKeys(acfg, store, r.logger, time.Now)
	if err != nil {
		return nil, nil, err
	}
	if err := keys.Load(e.ctx); err != nil {
		return nil, nil, fmt.Errorf("loading signing keys: %w", err)
	}
	if err := r.start(e.ctx, "signing keys", keys.Run); err != nil {
		return nil, nil, err
	}
	cfg := c.config(secret)
	if cfg.Certificates, err = r.secure("http", c.HTTPTLS, "h2", "http/1.1"); err != nil {
		return nil, nil, err
	}
	hasher := password.New(cmp.Or(c.Hashes, 2*runtime.GOMAXPROCS(0)), 5*time.Second)
	raiser := facts.New(store, codec, dir, r.reg, r.logger)
	if err := r.start(e.ctx, "facts", func(ctx context.Context) error {
		return broker.ReadGroup(ctx, c.Kafka.config(), facts.Group, facts.Topics(), r.logger, raiser.Handle, raiser.Forget)
	}); err != nil {
		return nil, nil, err
	}
	bells := annunciator.New(store.Alarms(), codec, dir, r.reg, r.logger)
	if err := r.start(e.ctx, "annunciator", func(ctx context.Context) error {
		return broker.ReadGroup(ctx, c.Kafka.config(), annunciator.Group, annunciator.Topics(), r.logger, bells.Handle, bells.Forget)
	}); err != nil {
		return nil, nil, err
	}
	logins := auth.New(acfg, keys, store, dir, hasher, r.logger, time.Now)
	if err := c.keepUses(e.ctx, r, store, dir, codec, cl); err != nil {
		return nil, nil, err
	}
	if err := r.tellUses(e.ctx, c.Kafka.config(), dir, codec); err != nil {
		return nil, nil, err
	}
	jobs, err := c.jobs(e.ctx, r, db, append(upkeep(keys, store), c.tenantWork(store, m, chc, cl, secret)...))
	if err != nil {
		return nil, nil, err
	}
	hub, err := live.New(live.DefaultConfig(), c.Kafka.config(), codec, dir, r.reg, r.logger)
	if err != nil {
		return nil, nil, err
	}
	if err := r.start(e.ctx, "live stream", hub.Run); err != nil {
		return nil, nil, err
	}
	s, err := api.New(cfg, api.Deps{
		Live:  hub,
		Store: store, Directory: dir, Auth: logins,
		Readings: ch, Recorder: api.NewRecorder(codec, broker.NewProducer(cl)), Provisioner: m, Jobs: jobs,
		Registry: r.reg, Logger: r.logger, Tracer: r.tracer, Now: time.Now,
	})
	return s, ch, err
}

// jobs starts periodic and long work.
func (c *apiCmd) jobs(ctx context.Context, r *role, db *postgres.DB, kinds []job.Kind) (*job.Service, error) {
	var s *job.Service // the kind that tidies up after it is part of it
	kinds = append(kinds, hourly("finished-jobs", "forget", func(ctx context.Context, run *job.Run) error {
		n, err := s.Forget(ctx)
		run.Count("forgotten", n)
		return err
	}))
	s, err := job.New(job.DefaultConfig(), db, kinds, r.reg, r.logger)
	if err != nil {
		return nil, err
	}
	return s, r.group.Start(ctx, "jobs", s.Start, s.Stop)
}

// secretBytes is the length of the installation's secret.
const secretBytes = 32

// loadSecret reads the installation's secret, or makes it where there is none
// yet. Every api process of an installation needs the same.
func loadSecret(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		raw := make([]byte, secretBytes)
		_, _ = rand.Read(raw) // never fails; the runtime ends the process instead
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, fmt.Errorf("making the secret file: %w", err)
		}
		if _, err := fmt.Fprintln(f, hex.EncodeToString(raw)); err != nil {
			return nil, errors.Join(fmt.Errorf("writing the secret file: %w", err), f.Close())
		}
		return raw, errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("reading the secret file: %w", err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != secretBytes {
		return nil, fmt.Errorf("reading the secret file %s: want %d hexadecimal digits", path, hex.EncodedLen(secretBytes))
	}
	return raw, nil
}
