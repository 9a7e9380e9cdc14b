package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded"
	"github.com/foodflow/foodflow/internal/admin"
	"github.com/foodflow/foodflow/internal/config"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/lifecycle"
	postgresembedded "github.com/foodflow/foodflow/internal/postgres/embedded"
	"github.com/foodflow/foodflow/schemas"
	registryembedded "github.com/foodflow/foodflow/schemas/registry/embedded"
)

type upCmd struct {
	DataDir        string   `help:"Where everything is kept." default:"data" type:"path"`
	CacheDir       string   `help:"Where engines are installed." type:"path" placeholder:"DIR"`
	ReadyFile      string   `help:"Write addresses and the demo login here once everything answers." type:"path" placeholder:"FILE"`
	NoSimulator    bool     `help:"Keep the demo plant without traffic."`
	APIAddr        string   `help:"API." name:"api-addr" default:"127.0.0.1:8080"`
	IngestAddr     string   `help:"HTTP ingest." default:"127.0.0.1:8081"`
	MQTTAddr       string   `help:"MQTT ingest." name:"mqtt-addr" default:"127.0.0.1:1883"`
	KafkaAddr      string   `help:"Kafka." default:"127.0.0.1:9092"`
	RegistryAddr   string   `help:"Embedded schema registry." default:"127.0.0.1:8085"`
	ClickhouseAddr string   `help:"Embedded ClickHouse." default:"127.0.0.1:8123"`
	PostgresAddr   string   `help:"Embedded Postgres." default:"127.0.0.1:5433"`
	AdminAddr      string   `help:"Metrics and health of all roles." default:"127.0.0.1:9090"`
	Kafka          string   `help:"Engine of Kafka: embedded, or apache, which needs Java and, the first time, Maven." enum:"embedded,apache" default:"embedded"`
	KafkaSync      bool     `help:"Let the embedded Kafka acknowledge only what is on the disk: then what was accepted outlives a loss of power, not only of a process. Slower."`
	KafkaBrokers   []string `help:"Use this Kafka in place of the embedded one." placeholder:"ADDR"`
	RegistryURL    string   `help:"Use this schema registry." name:"registry-url" placeholder:"URL"`
	ClickhouseURL  string   `help:"Use this ClickHouse." name:"clickhouse-url" placeholder:"URL"`
	PostgresURL    string   `help:"Use this Postgres." name:"postgres-url" placeholder:"URL" secret:""`
	PostgresDirect string   `help:"That Postgres itself, where postgres-url is a PgBouncer in transaction mode." name:"postgres-direct-url" placeholder:"URL" secret:""`
	Partitions     int32    `help:"Partitions that lines are spread over, when topics are made." default:"4"`

	Clickhouse accountFlags `embed:"" prefix:"clickhouse-"`
}

// Check names what is wrong with the configuration.
func (c *upCmd) Check() error {
	if c.ClickhouseURL != "" && c.Clickhouse.Analysts != "" {
		return errors.New("clickhouse.analysts: are accounts of the embedded engine; make users on the server at clickhouse.url")
	}
	if c.PostgresURL == "" && c.PostgresDirect != "" {
		return errors.New("postgres.direct_url: needs postgres.url; the embedded Postgres has nothing before it")
	}
	_, err := c.Clickhouse.config()
	return err
}

// plant is a running foodflow up.
type upRun struct {
	*upCmd
	e     *env
	r     *role
	addrs map[string]string
	self  string
	log   io.Writer
	demo  demoLogin

	kafka, registry, clickhouse, postgres string // as clients use them
}

// plainListeners refuses settings that make the roles' listeners speak TLS: up
// asks them in plain text, and its addresses are loopback's.
func (e *env) plainListeners() error {
	for _, role := range []string{"api", "ingest", "processors"} {
		p, ctx, err := e.again(role)
		if err != nil {
			return err
		}
		for _, v := range p.Values(ctx) {
			if slices.Contains([]string{"http.tls.cert", "mqtt.tls.cert", "admin.tls.cert"}, v.Key) && v.Value != "" {
				return config.Fault(fmt.Errorf("%s: foodflow up speaks plain text on loopback; run the roles each alone for TLS", v.Key))
			}
		}
	}
	return nil
}

// Run starts everything, waits, and drains.
func (c *upCmd) Run(e *env) error {
	release, err := lifecycle.LockDir(c.DataDir)
	if err != nil {
		return err
	}
	defer release()
	if c.ReadyFile != "" {
		// One that an earlier start left would tell of what isn't running yet.
		if err := os.Remove(c.ReadyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing the ready file of an earlier start: %w", err)
		}
	}
	if err := e.plainListeners(); err != nil {
		return err
	}
	u := &upRun{upCmd: c, e: e, r: newRole(e, "up", c.AdminAddr)}
	if err := u.prepare(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{u.startKafka, u.startRegistry, u.startClickhouse, u.startPostgres, u.writeSettings, u.migrate, u.seed, u.startRoles, u.known, u.startSimulator, u.announce} {
		if err := step(e.ctx); err != nil {
			_ = u.r.group.Stop() // the first error is the one that matters
			return err
		}
	}
	return u.r.serve(e.ctx)
}

// prepare settles addresses, the log file and the demo login.
func (u *upRun) prepare() (err error) {
	u.addrs, err = lifecycle.Ports(u.DataDir, map[string]string{
		"api": u.APIAddr, "ingest": u.IngestAddr, "mqtt": u.MQTTAddr, "kafka": u.KafkaAddr, "registry": u.RegistryAddr,
		"clickhouse": u.ClickhouseAddr, "postgres": u.PostgresAddr, "admin": u.AdminAddr,
		"ingest-admin": "127.0.0.1:0", "processors-admin": "127.0.0.1:0", "api-admin": "127.0.0.1:0",
	})
	if err != nil {
		return err
	}
	u.r = newRole(u.e, "up", u.addrs["admin"])
	u.r.admin = admin.New(u.addrs["admin"], admin.Federation{Own: u.r.reg, Role: "up", Peers: map[string]string{
		"ingest": "http://" + u.addrs["ingest-admin"], "processors": "http://" + u.addrs["processors-admin"], "api": "http://" + u.addrs["api-admin"],
	}}, version, u.r.logger)
	if u.CacheDir, err = cacheDir(u.CacheDir); err != nil {
		return err
	}
	if u.self, err = os.Executable(); err != nil {
		return fmt.Errorf("finding the own program: %w", err)
	}
	if u.demo, err = loadDemoLogin(u.DataDir); err != nil {
		return err
	}
	u.log = os.Stderr
	return nil
}

// environ is what every child gets by its environment: secrets, since other
// users can read command lines, and the file that the roles' settings are in.
func (u *upRun) environ() []string {
	var env []string
	if u.postgres != "" {
		env = append(env, "FOODFLOW_POSTGRES_URL="+u.postgres, "FOODFLOW_POSTGRES_URL_FILE=", "FOODFLOW_POSTGRES_DIRECT_URL="+u.PostgresDirect, "FOODFLOW_POSTGRES_DIRECT_URL_FILE=")
	}
	if u.Clickhouse.Password != "" {
		env = append(env, "FOODFLOW_CLICKHOUSE_PASSWORD="+u.Clickhouse.Password, "FOODFLOW_CLICKHOUSE_PASSWORD_FILE=")
	}
	if u.e.config != "" {
		env = append(env, "FOODFLOW_CONFIG="+u.e.config)
	}
	return env
}

// child starts one of our own commands as a supervised process.
func (u *upRun) child(ctx context.Context, name string, args ...string) error {
	return u.childWith(ctx, nil, name, args...)
}

// childWith is child with further variables.
func (u *upRun) childWith(ctx context.Context, more []string, name string, args ...string) error {
	p := &lifecycle.Process{Name: name, Path: u.self, Args: args, Env: append(u.environ(), more...), Log: u.log, Logger: u.r.logger}
	return u.r.group.Start(ctx, name, p.Start, p.Stop)
}

func (u *upRun) dir(name string) string { return filepath.Join(u.DataDir, name) }

func (u *upRun) startRegistry(ctx context.Context) error {
	if u.RegistryURL != "" {
		u.registry = u.RegistryURL
		return nil
	}
	reg, err := registryembedded.Open(u.dir("registry"), schemas.Compatible, schemas.Valid)
	if err != nil {
		return err
	}
	u.registry = "http://" + u.addrs["registry"]
	srv := &http.Server{Addr: u.addrs["registry"], Handler: reg, ReadHeaderTimeout: 5 * time.Second}
	return u.r.group.Start(ctx, "registry", func(ctx context.Context) error {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", srv.Addr)
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		go func() { _ = srv.Serve(l) }() // ends with Shutdown
		return nil
	}, srv.Shutdown)
}

func (u *upRun) startClickhouse(ctx context.Context) error {
	if u.ClickhouseURL != "" {
		u.clickhouse = u.ClickhouseURL
		return nil
	}
	lib, err := embedded.Install(ctx, u.CacheDir, func(s string) { u.r.logger.Info("installing an engine", "what", s) })
	if err != nil {
		return err
	}
	u.clickhouse = "http://" + u.addrs["clickhouse"]
	return u.childWith(ctx, u.Clickhouse.environ(), "clickhouse", "clickhouse-engine", "--library", lib, "--dir", u.dir("clickhouse"), "--addr", u.addrs["clickhouse"])
}

func (u *upRun) startPostgres(ctx context.Context) error {
	if u.PostgresURL != "" {
		u.postgres = u.PostgresURL
		return nil
	}
	p, url, err := postgresembedded.New(ctx, postgresembedded.Config{Dir: u.dir("postgres"), Addr: u.addrs["postgres"], Password: u.demo.PostgresPassword}, u.log, u.r.logger)
	if err != nil {
		return err
	}
	u.postgres = url
	return u.r.group.Start(ctx, "postgres", p.Start, p.Stop)
}

// migrate runs foodflow migrate to its end.
func (u *upRun) migrate(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, u.self, "migrate", "--kafka-brokers", u.kafka, "--kafka-partitions", fmt.Sprint(u.Partitions), "--clickhouse-url", u.clickhouse)
	cmd.Env = append(os.Environ(), u.environ()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making topics and tables: %w: %s", err, out)
	}
	return nil
}

func (u *upRun) startRoles(ctx context.Context) error {
	// The api goes first: the roles behind it need what its relay carries.
	common := []string{"--kafka-brokers", u.kafka, "--registry-url", u.registry, "--cache-dir", u.DataDir}
	if err := u.child(ctx, "api", append([]string{
		"api", "--http-addr", u.addrs["api"], "--admin-addr", u.addrs["api-admin"], "--clickhouse-url", u.clickhouse,
		"--secret-file", u.dir("secret"), "--archives-dir", u.dir("archives"), "--operator-tenant", demo.TenantKey,
	}, common...)...); err != nil {
		return err
	}
	if err := u.child(ctx, "processors", append([]string{"processors", "--clickhouse-url", u.clickhouse, "--admin-addr", u.addrs["processors-admin"]}, common...)...); err != nil {
		return err
	}
	return u.child(ctx, "ingest", append([]string{"ingest", "--http-addr", u.addrs["ingest"], "--mqtt-addr", u.addrs["mqtt"], "--admin-addr", u.addrs["ingest-admin"]}, common...)...)
}
