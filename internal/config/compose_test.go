package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/config"
)

// What is composed is read as the base with the settings put over it, in
// whatever way the base parts its keys and keeps its secrets; without them it is
// the base, which is the control.
func TestCompose(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base.yaml")
	const said = "kafka_brokers: old:1\nkafka: {password_file: /nowhere, tls: {ca: ca.pem}}\nrate: 0.25\nhttp_addr: x:1\ningest.http_addr: x:2\n"
	if err := os.WriteFile(base, []byte(said), 0o600); err != nil {
		t.Fatal(err)
	}
	over := map[string]any{"kafka.brokers": []string{"new:1", "new,2"}, "kafka.password": "word", "ingest.http_addr": "y:1", "api.kafka_brokers": []string{}, "api.url": ""}
	b, err := config.Compose(base, over)
	if err != nil {
		t.Fatal(err)
	}
	_, f, err := parse(t, string(b), nil, "ingest")
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if in := f.Ingest; strings.Join(in.Kafka.Brokers, " ") != "new:1 new,2" || in.Kafka.Password != "word" || in.Kafka.TLS.CA != "ca.pem" || in.Rate != 0.25 || in.HTTPAddr != "y:1" {
		t.Errorf("%+v\n%s", in, b)
	}
	if _, f, err = parse(t, string(b), nil, "api", "--url", "z"); err != nil || f.API.Brokers != "" || f.API.HTTPAddr != "x:1" {
		t.Errorf("%+v, %v\n%s", f.API, err, b)
	}
	if b, err = config.Compose(base, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := parse(t, string(b), nil, "ingest"); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("the secret's file of the base is not read: %v\n%s", err, b)
	}
	if _, err := config.Compose(filepath.Join(t.TempDir(), "none"), over); err == nil {
		t.Error("a base that is not there is passed over")
	}
}
