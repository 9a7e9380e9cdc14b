package main

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	composecli "github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/foodflow/foodflow/internal/config"
)

// compose loads a compose file as docker compose would, without the shell's
// own variables.
func compose(t *testing.T, path string) *types.Project {
	t.Helper()
	opts, err := composecli.NewProjectOptions([]string{path}, composecli.WithInterpolation(true), composecli.WithEnv([]string{"POSTGRES_PASSWORD=from-the-shell"}), composecli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := opts.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// variables gives what a role reads from the environment, by name, with the
// flag each sets.
func variables(t *testing.T, command string) map[string]config.Setting {
	t.Helper()
	known := map[string]config.Setting{}
	for _, v := range program(t).Settings() {
		if v.Command != "" && v.Command != command && v.Command != command+" up" { // migrate alone is migrate up
			continue
		}
		known[v.Env] = v
		if v.Secret {
			known[v.Env+"_FILE"] = v
		}
	}
	if len(known) == 0 {
		t.Fatalf("there is no command %q", command)
	}
	return known
}

// roleFaults compares a service that runs one of our roles with the flags the
// program knows.
func roleFaults(t *testing.T, p *types.Project, name string) (faults []string) {
	t.Helper()
	fault := func(s string) { faults = append(faults, name+": "+s) }
	s := p.Services[name]
	if len(s.Command) != 1 {
		return []string{name + ": runs no role"}
	}
	known := variables(t, s.Command[0])
	listens := map[string]string{} // port: variable
	for variable, value := range s.Environment {
		_, knows := known[variable]
		switch {
		case !knows:
			fault(variable + " is no variable of foodflow " + s.Command[0])
		case value == nil || *value == "":
			fault(variable + " has no value")
		case strings.HasSuffix(variable, "_ADDR"):
			host, port, _ := strings.Cut(*value, ":")
			if host != "0.0.0.0" {
				fault(variable + " is not reachable from outside the container")
			}
			listens[port] = variable
		case strings.HasSuffix(variable, "_URL"), strings.HasSuffix(variable, "_BROKERS"):
			if why := target(p, *value); why != "" {
				fault(variable + " " + why)
			}
		}
	}
	// What a role can't run without, and would take from nowhere.
	for _, variable := range []string{"FOODFLOW_KAFKA_BROKERS", "FOODFLOW_REGISTRY_URL", "FOODFLOW_CLICKHOUSE_URL", "FOODFLOW_POSTGRES_URL", "FOODFLOW_HTTP_ADDR", "FOODFLOW_MQTT_ADDR", "FOODFLOW_ADMIN_ADDR"} {
		_, set := s.Environment[variable]
		if _, knows := known[variable]; knows && !set {
			fault(variable + " is not set")
		}
	}
	for _, port := range s.Ports {
		if listens[itoa(port.Target)] == "" {
			fault("publishes " + itoa(port.Target) + ", where nothing listens")
		}
	}
	if s.Command[0] == "migrate" {
		return faults
	}
	if h := s.HealthCheck; h == nil || h.Disable || !strings.Contains(strings.Join(h.Test, " "), "http://127.0.0.1:9090/readyz") || listens["9090"] != "FOODFLOW_ADMIN_ADDR" {
		fault("its health check does not ask the admin port's /readyz")
	}
	if d := s.DependsOn["migrate"]; d.Condition != types.ServiceConditionCompletedSuccessfully {
		fault("does not wait for migrate")
	}
	return faults
}

func itoa(n uint32) string {
	var b []byte
	for ; n > 0; n /= 10 {
		b = append(b, byte('0'+n%10))
	}
	slices.Reverse(b)
	return string(b)
}

// target says what is wrong with an address, or "".
func target(p *types.Project, value string) string {
	if !strings.Contains(value, "://") {
		value = "tcp://" + value
	}
	u, err := url.Parse(value)
	if err != nil {
		return "is no address"
	}
	s, ok := p.Services[u.Hostname()]
	if !ok {
		return "points at " + u.Hostname() + ", which is no service"
	}
	if s.HealthCheck == nil || s.HealthCheck.Disable {
		return "points at " + u.Hostname() + ", which has no health check"
	}
	ports := map[string][]string{"kafka": {"9092"}, "registry": {"8081"}, "clickhouse": {"8123"}, "postgres": {"5432"}}
	if !slices.Contains(ports[u.Hostname()], u.Port()) {
		return "asks " + u.Hostname() + " on port " + u.Port()
	}
	return ""
}

func composeFaults(t *testing.T, p *types.Project) (faults []string) {
	t.Helper()
	for _, role := range []string{"migrate", "api", "ingest", "processors"} {
		if _, ok := p.Services[role]; !ok {
			faults = append(faults, role+" is missing")
			continue
		}
		faults = append(faults, roleFaults(t, p, role)...)
	}
	for name, image := range map[string]string{
		"kafka": `^apache/kafka:4\.\d+\.\d+$`, "registry": `^confluentinc/cp-schema-registry:\d+\.\d+\.\d+$`,
		"clickhouse": `^clickhouse/clickhouse-server:\d+\.\d+$`, "postgres": `^postgres:17`,
	} {
		s, ok := p.Services[name]
		switch {
		case !ok:
			faults = append(faults, name+" is missing")
		case !regexp.MustCompile(image).MatchString(s.Image):
			faults = append(faults, name+": image "+s.Image+" is not pinned as "+image)
		case s.HealthCheck == nil || len(s.HealthCheck.Test) == 0:
			faults = append(faults, name+": has no health check")
		case name != "registry" && len(s.Volumes) == 0:
			faults = append(faults, name+": keeps nothing")
		}
	}
	published := map[string]string{}
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if other := published[port.Published]; other != "" {
				faults = append(faults, name+" and "+other+" publish port "+port.Published)
			}
			published[port.Published] = name
		}
	}
	slices.Sort(faults)
	return faults
}

func TestComposeFitsTheProgram(t *testing.T) {
	for _, f := range composeFaults(t, compose(t, "../../docker-compose.yml")) {
		t.Error(f)
	}
}

// Each way of getting it wrong is found.
func TestComposeFaultsAreFound(t *testing.T) {
	body, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, bad, want string }{
		{"FOODFLOW_KAFKA_BROKERS:", "FOODFLOW_KAFKA_SERVERS:", "FOODFLOW_KAFKA_SERVERS is no variable"},
		{"kafka:9092\nx-registry", "kafka:9093\nx-registry", "asks kafka on port 9093"},
		{"http://registry:8081\nx-", "http://schemas:8081\nx-", "points at schemas"},
		{"FOODFLOW_MQTT_ADDR: 0.0.0.0:1883", "FOODFLOW_MQTT_ADDR: 127.0.0.1:1883", "not reachable"},
		{"FOODFLOW_MQTT_ADDR: 0.0.0.0:1883", "FOODFLOW_MQTT_ADDR: 0.0.0.0:1884", "publishes 1883"},
		{"apache/kafka:4.1.0", "apache/kafka:latest", "is not pinned"},
		{"127.0.0.1:9090/readyz", "127.0.0.1:9091/readyz", "health check does not ask"},
		{`"29092:29092"`, `"8123:29092"`, "publish port 8123"},
		{"  postgres:\n    image", "  database:\n    image", "postgres"},
		{"      <<: [*common-env, *kafka-env, *registry-env]\n", "      <<: [*common-env, *kafka-env]\n", "FOODFLOW_REGISTRY_URL is not set"},
	} {
		text := strings.Replace(string(body), c.old, c.bad, 1)
		if text == string(body) {
			t.Errorf("the file has no %q", c.old)
			continue
		}
		if c.want == "postgres" {
			text = strings.ReplaceAll(text, "postgres: {condition", "database: {condition")
		}
		path := filepath.Join(t.TempDir(), "docker-compose.yml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if found := strings.Join(composeFaults(t, compose(t, path)), "\n"); !strings.Contains(found, c.want) {
			t.Errorf("%q for %q: found %q, want %q", c.bad, c.old, found, c.want)
		}
	}
}
