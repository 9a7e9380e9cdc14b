package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/config"
)

type store struct {
	Brokers  []string `help:"Brokers."`
	Password string   `help:"Password." secret:""`
	TLS      struct {
		CA string `help:"CA." name:"ca"`
	} `embed:"" prefix:"tls-"`
}

type flags struct {
	Config string `help:"File."`
	Log    struct {
		Level string `help:"Level." default:"info"`
	} `embed:"" prefix:"log-"`
	Ingest struct {
		HTTPAddr string        `help:"Listen." name:"http-addr" default:"a:1"`
		Wait     time.Duration `help:"Wait." default:"5s"`
		Fast     bool          `help:"Fast."`
		Rate     float64       `help:"Rate." default:"1"`
		Kafka    store         `embed:"" prefix:"kafka-"`
	} `cmd:""`
	API struct {
		HTTPAddr string `help:"Listen." name:"http-addr" default:"a:2"`
		URL      string `help:"Store." name:"url" secret:"" required:""`
		Brokers  string `help:"Flat." name:"kafka-brokers"`
	} `cmd:"" name:"api"`
}

// parse gives the values of a command line by key, and its faults.
func parse(t *testing.T, file string, environ []string, args ...string) (map[string]config.Value, *flags, error) {
	t.Helper()
	var f flags
	if file != "" {
		path := filepath.Join(t.TempDir(), "foodflow.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		environ = append(environ, "FOODFLOW_CONFIG="+path)
	}
	p, err := config.New(&f, environ)
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := p.Parse(args)
	if err != nil {
		return nil, &f, err
	}
	out := map[string]config.Value{}
	for _, v := range p.Values(ctx) {
		out[v.Key] = v
	}
	return out, &f, nil
}

// Each layer wins over those below it, and says that it did.
func TestLayers(t *testing.T) {
	file := "kafka:\n  brokers: [f:1, \"g,2\"]\n  tls: {ca: ca.pem}\nhttp_addr: f:3\nwait: 7s\nfast: true\nrate: 0.25\nlog.level: warn\ningest:\n  http_addr: f:4\n"
	v, f, err := parse(t, file, []string{"FOODFLOW_WAIT=8s", "PATH=/bin"}, "ingest", "--rate", "3")
	if err != nil {
		t.Fatal(err)
	}
	in := f.Ingest
	if got := fmt.Sprintf("%q %s %s %v %v %v %s", in.Kafka.Brokers, in.Kafka.TLS.CA, in.HTTPAddr, in.Wait, in.Fast, in.Rate, f.Log.Level); got != `["f:1" "g,2"] ca.pem f:4 8s true 3 warn` {
		t.Error(got)
	}
	for key, source := range map[string]string{
		"kafka.brokers": "file ", "kafka.tls.ca": "file ", "http_addr": "file ", "wait": "variable FOODFLOW_WAIT", "rate": "flag --rate", "kafka.password": "default", "log.level": "file ",
	} {
		if !strings.HasPrefix(v[key].Source, source) {
			t.Errorf("%s comes from %q, want %q", key, v[key].Source, source)
		}
	}
	if _, f, err = parse(t, file, []string{"FOODFLOW_URL=x"}, "api"); err != nil || f.API.HTTPAddr != "f:3" || f.API.URL != "x" {
		t.Errorf("the other command has %+v, %v", f.API, err)
	}
	if _, f, err = parse(t, "", nil, "ingest"); err != nil || f.Ingest.HTTPAddr != "a:1" || f.Ingest.Wait != 5*time.Second {
		t.Errorf("defaults: %+v, %v", f.Ingest, err)
	}
	if _, _, err = parse(t, "", nil, "api"); err == nil || !strings.Contains(err.Error(), "--url") {
		t.Errorf("what is required and nowhere: %v", err)
	}
}

// What nobody knows is named with its nearest neighbour; all faults at once.
func TestUnknown(t *testing.T) {
	file := "kafka:\n  broker: x\nzzzzzzzzzzzz: 1\ningest:\n  url: x\nlog:\n  level: {a: 1}\nwait:\n"
	_, _, err := parse(t, file, []string{"FOODFLOW_KAFKA_PASWORD=x", "FOODFLOW_HTTP_ADDR_FILE=x"}, "ingest")
	refused := new(config.Error)
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	for _, want := range []string{
		"kafka.broker: is no key of the configuration; the nearest is kafka.brokers\n", "zzzzzzzzzzzz: is no key of the configuration\n",
		"ingest.url: is no key", "log.level.a: is no key", "wait: has no value", "FOODFLOW_KAFKA_PASWORD: is no variable of foodflow; the nearest is FOODFLOW_KAFKA_PASSWORD\n",
		"FOODFLOW_HTTP_ADDR_FILE: is no variable",
	} {
		if !strings.Contains(err.Error()+"\n", want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	for _, file := range []string{"- a\n", "a: [", "\x00"} {
		if _, _, err := parse(t, file, nil, "ingest"); err == nil {
			t.Errorf("%q is read as a configuration", file)
		}
	}
	if _, _, err := parse(t, "", []string{"FOODFLOW_CONFIG=/nowhere.yaml"}, "ingest"); err == nil {
		t.Error("a file that is not there is passed over")
	}
	// What Kubernetes tells every container of a service named foodflow-ingest.
	links := []string{"FOODFLOW_INGEST_SERVICE_HOST=10.0.0.1", "FOODFLOW_INGEST_SERVICE_PORT=80", "FOODFLOW_INGEST_PORT=tcp://10.0.0.1:80", "FOODFLOW_INGEST_PORT_80_TCP_ADDR=10.0.0.1", "FOODFLOW_INGEST_SERVICE_PORT_HTTP=80"}
	if _, _, err := parse(t, "", links, "ingest"); err != nil {
		t.Error(err)
	}
}

// A secret comes from its file too, never from both, and is never shown.
func TestSecrets(t *testing.T) {
	const canary = "c4n4ry-secret"
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file    string
		environ []string
		args    []string
	}{
		"variable":         {"", []string{"FOODFLOW_KAFKA_PASSWORD=" + canary}, nil},
		"variable's file":  {"", []string{"FOODFLOW_KAFKA_PASSWORD_FILE=" + path}, nil},
		"key":              {"kafka: {password: " + canary + "}", nil, nil},
		"key's file":       {"kafka: {password_file: " + path + "}", nil, nil},
		"section's file":   {"kafka: {password: other}\ningest: {kafka: {password_file: " + path + "}}", nil, nil},
		"flag":             {"", nil, []string{"--kafka-password", canary}},
		"an empty file":    {"", []string{"FOODFLOW_KAFKA_PASSWORD=" + canary, "FOODFLOW_KAFKA_PASSWORD_FILE="}, nil},
		"file beats layer": {"kafka: {password: other}", []string{"FOODFLOW_KAFKA_PASSWORD_FILE=" + path}, nil},
	} {
		v, f, err := parse(t, c.file, c.environ, append([]string{"ingest"}, c.args...)...)
		if err != nil || f.Ingest.Kafka.Password != canary {
			t.Errorf("%s: %q, %v", name, f.Ingest.Kafka.Password, err)
		}
		if shown := fmt.Sprint(v); strings.Contains(shown, canary) || v["kafka.password"].Value != "********" {
			t.Errorf("%s: shown as %s", name, shown)
		}
	}
	for name, c := range map[string]struct {
		file    string
		environ []string
		want    string
	}{
		"both variables": {"", []string{"FOODFLOW_KAFKA_PASSWORD=" + canary, "FOODFLOW_KAFKA_PASSWORD_FILE=" + path}, "FOODFLOW_KAFKA_PASSWORD: is set both"},
		"both keys":      {"kafka: {password: " + canary + ", password_file: " + path + "}", nil, "kafka.password: is set both"},
		"no file":        {"", []string{"FOODFLOW_KAFKA_PASSWORD_FILE=/nowhere"}, "FOODFLOW_KAFKA_PASSWORD: reading the secret"},
	} {
		_, _, err := parse(t, c.file, c.environ, "ingest")
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for in, want := range map[string]string{
		"postgres://u:" + canary + "@h/db?sslmode=require&sslpassword=" + canary: "postgres://u:xxxxx@h/db?sslmode=require&sslpassword=xxxxx",
		"http://h:1/x": "http://h:1/x", "a:1": "a:1", "://" + canary + "\x00": "********",
	} {
		if got := config.Redact(in); got != want {
			t.Errorf("%q becomes %q", in, got)
		}
	}
	v, _, err := parse(t, "", []string{"FOODFLOW_URL=host=h password=" + canary}, "api")
	if err != nil || v["url"].Value != "********" {
		t.Errorf("an address that is no URL is shown as %v, %v", v["url"].Value, err)
	}
}

// One flag has one key, wherever it is declared.
func TestOneKey(t *testing.T) {
	if _, f, err := parse(t, "kafka: {brokers: x}", []string{"FOODFLOW_URL=y"}, "api"); err != nil || f.API.Brokers != "x" {
		t.Errorf("%+v, %v", f.API, err)
	}
}
