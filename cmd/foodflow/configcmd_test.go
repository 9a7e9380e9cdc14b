package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/config"
)

// canary is a value that must come out nowhere.
const canary = "c4n4ry-5ecret"

func program(t *testing.T, environ ...string) *config.Program {
	t.Helper()
	p, err := config.New(new(cli), environ)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What looks like a secret by its name is one, and what is one by its tag comes
// out neither of what is printed nor of what is refused (S20).
func TestSecretsAreMarkedAndHidden(t *testing.T) {
	looks := regexp.MustCompile(`password|token|secret|dsn|^api-key$|headers`)
	var environ []string
	secrets := 0
	for _, s := range program(t).Settings() {
		if looks.MatchString(s.Flag) && !s.Secret && s.Type == "string" && !strings.HasSuffix(s.Flag, "-file") {
			t.Errorf("--%s of %q looks like a secret and is not marked as one", s.Flag, s.Command)
		}
		if s.Secret {
			secrets++
			environ = append(environ, s.Env+"="+canary)
		}
	}
	if secrets < 6 {
		t.Fatalf("only %d secrets", secrets)
	}
	for _, role := range append(roleNames(), "up", "simulate") {
		p := program(t, environ...)
		ctx, err := p.Parse([]string{role})
		if err != nil {
			t.Fatal(err)
		}
		hidden := 0
		for _, v := range p.Values(ctx) {
			if strings.Contains(strings.ToLower(toText(v)), canary) {
				t.Errorf("%s shows %s", role, v.Key)
			}
			if v.Value == "********" {
				hidden++
			}
		}
		if hidden == 0 {
			t.Errorf("%s has no secret to hide: the test can't fail", role)
		}
		if err := checkCommand(ctx); err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: a fault repeats a secret: %v", role, err)
		}
	}
}

func toText(v config.Value) string {
	s, _ := v.Value.(string)
	return s + v.Source + v.Default
}

// command runs a command line as main does and gives what it prints.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var c cli
	p, err := newProgram(&c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := p.Parse(args)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = ctx.Run(&env{ctx: t.Context(), logger: slog.New(slog.DiscardHandler), out: &out, config: c.Config})
	return out.String(), err
}

func TestConfigCheckAndPrint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "foodflow.yaml")
	body := "kafka: {brokers: 'k:9092'}\nregistry: {url: 'http://r'}\nclickhouse: {url: 'http://c'}\npostgres: {url: 'postgres://u:" + canary + "@p/d'}\n"
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t, "--config", path, "config", "check"); err != nil || out != "" {
		t.Errorf("a whole configuration: %q, %v", out, err)
	}
	out, err := command(t, "config", "check", "ingest")
	if err == nil || !strings.Contains(out, "kafka.brokers: must not be empty\n") || strings.Contains(out, "postgres") {
		t.Errorf("an empty one: %q, %v", out, err)
	}
	out, err = command(t, "--config", path, "config", "print", "--json", "api", "--http-addr", "x:1")
	for _, want := range []string{`"postgres://u:xxxxx@p/d"`, `"source": "file ` + path, `"source": "flag --http-addr"`} {
		if err != nil || !strings.Contains(out, want) || strings.Contains(out, canary) {
			t.Errorf("no %s in %s, %v", want, out, err)
		}
	}
}

// Listeners of up are plain text, and it says so rather than wait for itself.
func TestUpRefusesTLS(t *testing.T) {
	t.Setenv("FOODFLOW_MQTT_TLS_CERT", "cert.pem")
	if _, err := command(t, "up", "--data-dir", t.TempDir()); err == nil || !strings.Contains(err.Error(), "mqtt.tls.cert: foodflow up speaks plain text") {
		t.Errorf("%v", err)
	}
}

// The reference is what the flags say.
func TestReferenceIsCurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "configuration.md")
	if _, err := command(t, "config", "reference", path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../../deploy/configuration.md")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("deploy/configuration.md is old: run make generate (%v)", err)
	}
}
