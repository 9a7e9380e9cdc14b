package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/foodflow/foodflow/internal/config"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/lifecycle"
)

// settingsHead begins the file.
const settingsHead = `# Written by foodflow up at each start: how the other commands reach what it runs
# (--config FILE, or FOODFLOW_CONFIG=FILE). Holds credentials.
`

// settingsFile is where up writes it.
func (u *upRun) settingsFile() string { return u.dir("foodflow.yaml") }

// writeSettings writes a configuration for the commands that are run beside up:
// what up itself was configured by, with the addresses and credentials of the
// engines. It is written before the roles start, so that doctor can look at an
// installation that does not come up.
func (u *upRun) writeSettings(context.Context) error {
	b, err := config.Compose(u.e.config, u.settings())
	if err != nil {
		return err
	}
	return lifecycle.Replace(u.settingsFile(), append([]byte(settingsHead), b...))
}

func (u *upRun) settings() map[string]any {
	s := map[string]any{
		"kafka.brokers": u.brokers(), "kafka.partitions": u.Partitions, "registry.url": u.registry, "clickhouse.url": u.clickhouse, "postgres.url": u.postgres,
		"ingest_url": "http://" + u.addrs["ingest"], "api_key": u.demo.APIKey, "secret_file": u.dir("secret"), "simulate.truth": u.truth(), "doctor.data_dir": u.DataDir,
		"api.archives_dir": u.dir("archives"), "api.operator_tenant": demo.TenantKey,
		// A shell that has the file in FOODFLOW_CONFIG may start up again: by these it
		// is told again what it was told now, and not to use its own engines as others'.
		"up.kafka.brokers": u.KafkaBrokers, "up.registry.url": u.RegistryURL, "up.clickhouse.url": u.ClickhouseURL,
		"up.postgres.url": u.PostgresURL, "up.postgres.direct_url": u.PostgresDirect,
	}
	if u.PostgresDirect != "" {
		s["postgres.direct_url"] = u.PostgresDirect
	}
	if u.Clickhouse.Password != "" {
		s["clickhouse.password"] = u.Clickhouse.Password
	}
	return s
}

// brokers are the seed brokers that commands use.
func (u *upRun) brokers() []string {
	if len(u.KafkaBrokers) > 0 {
		return u.KafkaBrokers
	}
	return []string{u.kafka}
}

// truth is the simulator's journal.
func (u *upRun) truth() string { return filepath.Join(u.dir("simulator"), "truth.jsonl") }

// short gives a path as a person in the current folder would write it.
func short(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
