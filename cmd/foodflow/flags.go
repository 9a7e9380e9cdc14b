package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/admin"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/intake"
	"github.com/foodflow/foodflow/internal/lifecycle"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/telemetry"
	"github.com/foodflow/foodflow/internal/tlsconf"
	"github.com/foodflow/foodflow/schemas"
	"github.com/foodflow/foodflow/schemas/registry"
)

// sentryFlags say where errors are told.
type sentryFlags struct {
	DSN         string `help:"Tell Sentry of errors and panics: no payload, no header, no token. Off without it." name:"dsn" placeholder:"URL" secret:""`
	Environment string `help:"What they are filed under." default:"production"`
}

// otelFlags say where traces go.
type otelFlags struct {
	Endpoint string  `help:"Collector of traces, OTLP over HTTP. Off without it." placeholder:"URL"`
	Headers  string  `help:"Sent to the collector, name=value by commas." secret:""`
	Sample   float64 `help:"Part of the requests that are traced." default:"0.01"`
}

// telemetry joins the two for a process.
func (c *cli) telemetry(service string) telemetry.Config {
	return telemetry.Config{
		Endpoint: c.OTel.Endpoint, Headers: c.OTel.Headers, Sample: c.OTel.Sample, DSN: c.Sentry.DSN, Environment: c.Sentry.Environment, Service: service, Version: version,
	}
}

// clientTLS say what TLS to a store trusts and shows.
type clientTLS struct {
	CA         string `help:"Authorities to check the server against, PEM; the system's without it." name:"ca" type:"path" placeholder:"FILE"`
	Cert       string `help:"Own certificate, PEM." type:"path" placeholder:"FILE"`
	Key        string `help:"Its key, PEM." type:"path" placeholder:"FILE"`
	ServerName string `help:"Name the server's certificate must hold, where it is not the one it is reached by." placeholder:"NAME"`
}

func (f clientTLS) files() tlsconf.Client {
	return tlsconf.Client{CA: f.CA, Cert: f.Cert, Key: f.Key, ServerName: f.ServerName}
}

// serverTLS say what a listener shows and wants to see.
type serverTLS struct {
	Cert     string `help:"Certificate of the listener with its intermediates, PEM; makes it speak TLS. Taken anew when the file changes." type:"path" placeholder:"FILE"`
	Key      string `help:"Its key, PEM." type:"path" placeholder:"FILE"`
	ClientCA string `help:"Authorities of clients' certificates, PEM; makes a client show one." name:"client-ca" type:"path" placeholder:"FILE"`
	Optional bool   `help:"Let clients without a certificate in too." name:"client-optional"`
}

func (f serverTLS) files() tlsconf.Server {
	return tlsconf.Server{Cert: f.Cert, Key: f.Key, ClientCA: f.ClientCA, Optional: f.Optional}
}

// httpFlags bound ingest's HTTP listener.
type httpFlags struct {
	Connections int           `help:"Most connections at once; the next one waits." default:"4096"`
	ReadTimeout time.Duration `help:"Longest time for a request to come in." default:"30s"`
}

// apiHTTPFlags bound the API's.
type apiHTTPFlags struct {
	ReadTimeout  time.Duration `help:"Longest time for a request to come in." default:"15s"`
	WriteTimeout time.Duration `help:"Longest time for an answer." default:"60s"`
	IdleTimeout  time.Duration `help:"How long a connection may rest." default:"2m"`
	QueryTimeout time.Duration `help:"Longest time of one query of the readings." default:"15s"`
}

// adminFlags are the operators' listener. Its address is a flag of the role,
// with the role's default.
type adminFlags struct {
	TLS serverTLS `embed:"" prefix:"tls-"`
}

// kafkaFlags say how to reach Kafka.
type kafkaFlags struct {
	Brokers    []string  `help:"Seed brokers, host:port." placeholder:"ADDR"`
	Partitions int32     `help:"Partitions that lines are spread over, when topics are made." default:"8"`
	TLS        bool      `help:"Use TLS; any of its files switches it on too." name:"tls"`
	TLSFiles   clientTLS `embed:"" prefix:"tls-"`
	Mechanism  string    `help:"SASL mechanism." enum:",PLAIN,SCRAM-SHA-256,SCRAM-SHA-512" default:""`
	User       string    `help:"SASL user."`
	Password   string    `help:"SASL password." secret:""`
}

func (f kafkaFlags) config() broker.Config {
	c := broker.DefaultConfig()
	c.Brokers, c.Partitions, c.TLS, c.Mechanism, c.User, c.Password = f.Brokers, f.Partitions, f.TLS, f.Mechanism, f.User, f.Password
	c.TLSFiles = f.TLSFiles.files()
	return c
}

// registryFlags say how to reach the schema registry.
type registryFlags struct {
	URL      string    `help:"Schema registry." name:"url" placeholder:"URL"`
	User     string    `help:"User, where it asks for one."`
	Password string    `help:"Password of the user." secret:""`
	Token    string    `help:"Bearer token, in place of user and password." secret:""`
	TLS      clientTLS `embed:"" prefix:"tls-"`
}

func (f registryFlags) config() registry.Config {
	c := registry.DefaultConfig()
	c.URL, c.User, c.Password, c.Token, c.TLS = f.URL, f.User, f.Password, f.Token, f.TLS.files()
	return c
}

// postgresFlags say how to reach Postgres.
type postgresFlags struct {
	URL         string        `help:"Postgres. The commands migrate and tenants, and the api role for new tenants, make schemas and roles." name:"url" placeholder:"URL" secret:""`
	DirectURL   string        `help:"Postgres itself, where postgres-url is a PgBouncer in transaction mode: for notifications and migrations, which need a session." name:"direct-url" placeholder:"URL" secret:""`
	TLS         clientTLS     `embed:"" prefix:"tls-"`
	Connections int32         `help:"Most connections of this process, to the primary and to the replica each." default:"16"`
	Acquire     time.Duration `help:"Longest wait for a free connection." default:"3s"`
	Statement   time.Duration `help:"Longest time of one statement." default:"30s"`
}

func (f postgresFlags) config() postgres.Config {
	c := postgres.DefaultConfig()
	c.URL, c.Direct, c.TLS, c.MaxConns, c.Acquire, c.Statement = f.URL, f.DirectURL, f.TLS.files(), f.Connections, f.Acquire, f.Statement
	return c
}

func (f postgresFlags) migrator(parallel int) migrate.Config {
	return migrate.Config{URL: cmp.Or(f.DirectURL, f.URL), TLS: f.TLS.files(), Parallel: parallel}
}

// replicaFlags name a copy of Postgres for reading.
type replicaFlags struct {
	URL string        `help:"Read-only replica of Postgres, one server, that GET requests are answered from." name:"url" placeholder:"URL" secret:""`
	Lag time.Duration `help:"How much older than the primary such an answer may be, the same for every api process. After a change a tenant is answered by the primary for so long; a change waits as long for a replica that is behind or away." default:"2s"`
}

// clickhouseFlags say how to reach ClickHouse.
type clickhouseFlags struct {
	URL         string        `help:"HTTP interface of ClickHouse." name:"url" placeholder:"URL"`
	Database    string        `help:"Database of the tables." default:"foodflow"`
	Cluster     string        `help:"Cluster that the tables are replicated on; one server without it." placeholder:"NAME"`
	User        string        `help:"User." default:"default"`
	Password    string        `help:"Password of the user." secret:""`
	TLS         clientTLS     `embed:"" prefix:"tls-"`
	Connections int           `help:"Most connections of this process; 0: no limit." default:"0"`
	Compression string        `help:"Compression of what is inserted; over a slow network it pays." enum:"none,lz4,zstd" default:"none"`
	Timeout     time.Duration `help:"Longest time of one statement." default:"60s"`
}

func (f clickhouseFlags) config() clickhouse.Config {
	c := clickhouse.DefaultConfig()
	c.URL, c.Database, c.Cluster, c.User, c.Password, c.TLS = f.URL, f.Database, f.Cluster, f.User, f.Password, f.TLS.files()
	c.Conns, c.Compression, c.Timeout = f.Connections, f.Compression, f.Timeout
	return c
}

// rateFlags bound how fast each producer may send.
type rateFlags struct {
	TenantItems float64       `help:"Readings and events a second that a tenant may send, where the directory says nothing else; 0: no limit." default:"0"`
	TenantBytes float64       `help:"Bytes a second that a tenant may send; 0: no limit." default:"0"`
	KeyItems    float64       `help:"Readings and events a second that an API key may send; 0: no limit." default:"0"`
	KeyBytes    float64       `help:"Bytes a second that an API key may send; 0: no limit." default:"0"`
	Window      time.Duration `help:"How much of a quota may come at once, as time." default:"5s"`
}

// quotaFlags are ingest's: it holds bytes in flight too.
type quotaFlags struct {
	rateFlags   `embed:""`
	TenantShare float64 `help:"Part of the bytes in flight that one tenant may hold." default:"0.5"`
}

func (f quotaFlags) limits() ingest.Limits {
	l := ingest.DefaultLimits()
	l.Quotas = ingest.Quotas{Quotas: f.quotas(), TenantShare: f.TenantShare}
	return l
}

func (f rateFlags) quotas() intake.Quotas {
	return intake.Quotas{
		Tenant: directory.Quota{ItemsPerSecond: f.TenantItems, BytesPerSecond: f.TenantBytes},
		Key:    directory.Quota{ItemsPerSecond: f.KeyItems, BytesPerSecond: f.KeyBytes},
		Window: f.Window,
	}
}

// role is what every long-running role has: metrics, the admin port, a group.
type role struct {
	name   string
	group  *lifecycle.Group
	reg    *prometheus.Registry
	admin  *admin.Server
	certs  *tlsconf.Metrics
	tracer *telemetry.Tracer // nil: off
	logger *slog.Logger
}

func newRole(e *env, name, adminAddr string) *role {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	logger := e.logger.With("role", name)
	return &role{
		name: name, reg: reg, logger: logger, certs: tlsconf.NewMetrics(reg), tracer: e.tracer, group: lifecycle.NewGroup(logger, stopLimit),
		admin: admin.New(adminAddr, reg, version, logger),
	}
}

// secure gives the TLS of a listener, nil for plain text.
func (r *role) secure(listener string, f serverTLS, protocols ...string) (*tls.Config, error) {
	return f.files().Config(listener, r.certs, r.logger, protocols...)
}

// secureAdmin makes the admin port speak TLS if files for it are given.
func (r *role) secureAdmin(f adminFlags) error {
	t, err := r.secure("admin", f.TLS)
	r.admin.Secure(t)
	return err
}

// codec opens the codec on the registry, whose answers are cached in dir.
func (r *role) codec(ctx context.Context, f registryFlags, dir string) (*schemas.Codec, error) {
	cfg := f.config()
	if dir != "" {
		cfg.CachePath = filepath.Join(dir, "schemas-"+r.name+".json")
	}
	client, err := registry.New(cfg, r.logger, r.reg)
	if err != nil {
		return nil, fmt.Errorf("opening registry client: %w", err)
	}
	return schemas.NewCodec(ctx, client)
}

// follow starts a reader of the directory and waits until it is whole.
func (r *role) follow(ctx context.Context, kafka broker.Config, codec *schemas.Codec) (*directory.Store, error) {
	store := directory.NewStore()
	tail := broker.NewTail(kafka, broker.TopicDirectory, directory.Applier(store, codec, r.logger, r.reg))
	err := r.group.Start(ctx, "directory", func(ctx context.Context) error { return tail.Start(ctx, r.group.Fail) }, tail.Stop)
	if err != nil {
		return nil, err
	}
	select {
	case <-tail.Ready():
		return store, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// serve opens the admin port, says that the role is ready, and waits for the
// end.
func (r *role) serve(ctx context.Context) error {
	err := r.group.Start(ctx, "admin", func(ctx context.Context) error { return r.admin.Start(ctx, r.group.Fail) }, r.admin.Stop)
	if err != nil {
		return err
	}
	lifecycle.Ready()
	r.logger.Info("ready", "admin", r.admin.Addr())
	return r.group.Wait(ctx)
}
