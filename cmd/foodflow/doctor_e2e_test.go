package main_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// examine runs foodflow doctor on an installation.
func (in *installation) examine() (severities map[string]string, out string, code int) {
	in.t.Helper()
	cmd := exec.CommandContext(in.t.Context(), in.bin, "doctor", "--json", "--timeout", "60s", "--kafka-brokers", in.Kafka, "--registry-url", in.Registry, "--clickhouse-url", in.Clickhouse)
	cmd.Dir = in.dir
	cmd.Env = append(append(os.Environ(), in.env...), "FOODFLOW_POSTGRES_URL="+in.Postgres)
	b, err := cmd.Output()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		in.t.Fatal(err)
	}
	var report struct {
		Findings []struct{ Check, Severity, What string }
	}
	if err := json.Unmarshal(b, &report); err != nil {
		in.t.Fatalf("%v: %s", err, b)
	}
	severities = map[string]string{}
	for _, f := range report.Findings {
		if severities[f.Check] != "error" {
			severities[f.Check] = f.Severity
		}
	}
	return severities, string(b), cmd.ProcessState.ExitCode()
}

// TestDoctor finds no error in a running installation, and the one that is made.
func TestDoctor(t *testing.T) {
	in := install(t)
	in.start()
	found, out, code := in.examine()
	for _, check := range []string{
		"config.ingest", "config.processors", "config.api", "config.migrate", "kafka.topics", "kafka.lag", "kafka.clock", "kafka.dead_letters", "registry.reachable",
		"clickhouse.tables", "clickhouse.clock", "clickhouse.reachable", "clickhouse.disk", "postgres.reachable", "postgres.clock", "postgres.migrations", "machine.open_files", "machine.disk",
	} {
		if s := found[check]; s == "" || s == "error" && !strings.HasSuffix(check, "disk") {
			t.Errorf("%s: %q", check, s)
		}
	}
	if found["kafka.reachable"] != "warning" || code == 0 {
		t.Errorf("one broker is not spoken of; code %d", code)
	}
	if t.Failed() {
		t.Fatal(out)
	}
	if strings.Contains(out, "postgres:") && strings.Contains(out, in.Postgres) {
		t.Error("the report repeats the address of Postgres with its password")
	}
	in.query("DROP TABLE foodflow.oee_parts SYNC")
	if found, out, code := in.examine(); found["clickhouse.tables"] != "error" || code != 2 {
		t.Errorf("a table is gone, code %d: %s", code, out)
	}
}
