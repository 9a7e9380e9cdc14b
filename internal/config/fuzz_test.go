package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/foodflow/foodflow/internal/config"
)

// FuzzFile: any file is a configuration or is refused; no key in it is passed
// over.
func FuzzFile(f *testing.F) {
	for _, s := range []string{
		"kafka:\n  brokers: [a:1, b:2]\n", "ingest:\n  http_addr: x:1\n  wait: 3s\n  rate: 1e400\n", "kafka.password_file: /nothing\n",
		"a: &a [*a]\n", "log: {level: }\n", "? [x]\n: y\n", "ingest: 7\n", "---\n---\n", "\x00", "kafka:\n  tls:\n    ca: !!binary aGk=\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "foodflow.yaml")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		var fl flags
		p, err := config.New(&fl, []string{"FOODFLOW_CONFIG=" + path})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Parse([]string{"ingest"}); err != nil {
			return
		}
		// Once more with a key that nobody knows: a file that is taken was read to
		// its end.
		if len(b) == 0 || b[len(b)-1] != '\n' || fl.Ingest.HTTPAddr == "a:1" {
			return
		}
		if err := os.WriteFile(path, append(b, "no_such_key: 1\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := config.New(new(flags), []string{"FOODFLOW_CONFIG=" + path})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Parse([]string{"ingest"}); err == nil {
			t.Fatalf("an unknown key behind %q is passed over", b)
		}
	})
}
