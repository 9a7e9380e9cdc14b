package main_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
)

// TestSecretsStayInHands (S9, S20) uses passwords, tokens and keys at every door,
// rightly and wrongly, kills a process, stops the program, and then looks for them
// in all that it left: every file of Postgres, Kafka and ClickHouse, every cache,
// a dump of the database, the records of every topic, and the log. The control is a name that is no secret,
// which is found in each of the stores.
func TestSecretsStayInHands(t *testing.T) {
	in := install(t)
	in.start()
	admin := in.login(in.Email, in.Password)
	secrets := map[string]string{"the demo password": in.Password, "the demo key": in.APIKey[strings.LastIndex(in.APIKey, "_")+1:], "an access token": admin.token[strings.LastIndex(admin.token, ".")+1:]}
	tokens := admin.do("POST", in.API+"/api/v1/auth/login", map[string]string{"email": in.Email, "password": in.Password}, 200)
	secrets["a spent refresh token"] = fmt.Sprint(tokens["refresh_token"])
	again := admin.do("POST", in.API+"/api/v1/auth/refresh", map[string]any{"refresh_token": tokens["refresh_token"]}, 200)
	secrets["a refresh token"] = fmt.Sprint(again["refresh_token"])
	made := admin.do("POST", in.API+"/api/v1/api-keys", map[string]any{"name": "k", "scopes": []string{"ingest", "read"}}, 201)
	key := fmt.Sprint(made["key"])
	secrets["a key"] = key[strings.LastIndex(key, "_")+1:]
	admin.do("POST", in.API+"/api/v1/users", map[string]any{"email": "u@acme.example", "name": "U", "role": "viewer", "password": "c4n4ry-new-password"}, 201)
	secrets["a new user's password"], secrets["a wrong password"], secrets["a query"] = "c4n4ry-new-password", "c4n4ry-wrong-password", "c4n4ry-query"
	if a := in.tryLogin(1, in.Email, "c4n4ry-wrong-password"); a.status != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d", a.status)
	}
	(&caller{in: in}).do("POST", in.API+"/api/v1/auth/login", map[string]any{"email": in.Email, "password": []string{"c4n4ry-wrong-password"}}, 422)
	gateway := &caller{in: in, key: key}
	in.until("ingest knows the key", func() bool { return gateway.sends("oven-zone-1-temperature", time.Now(), 1) == http.StatusAccepted })
	in.everybodyKnows()
	gateway.do("GET", in.API+"/api/v1/plant-ops/lines?c4n4ry-query=1", nil, 422)
	(&caller{in: in, key: key + "x"}).do("GET", in.API+"/api/v1/plant-ops/lines", nil, 401)
	if c := in.mqttWith(key, "one"); c == nil {
		t.Error("MQTT refuses the key")
	} else {
		c.Publish("ff/v1/demo/oven-zone-1-temperature", 1, false, "231.5").Wait()
		c.Disconnect(100)
	}
	if in.mqttWith(key+"x", "two") != nil {
		t.Error("MQTT takes a wrong key")
	}
	// The control goes the ways that the secrets don't: into Postgres, by the
	// directory to Kafka, and into ClickHouse.
	const open = "C0ntr0lN4me"
	admin.do("POST", in.API+"/api/v1/plant-ops/sensors", map[string]any{"key": open, "name": open, "unit": "degC", "kind": "temperature"}, 201)
	in.until("the control is known", func() bool { return gateway.sends(open, time.Now(), 2) == http.StatusAccepted })
	in.query("CREATE TABLE IF NOT EXISTS foodflow.control ENGINE = Log AS SELECT '" + open + "' AS name")
	in.kill("processors")
	dump, records := in.dump(), in.records(open)
	in.stop()

	s := &search{t: t, secrets: secrets, open: open, found: map[string]bool{}}
	s.look("dump", []byte(dump))
	s.look("records", records)
	s.tree(filepath.Join(in.dir, "data"))
	in.mu.Lock()
	log := in.log.String()
	in.mu.Unlock()
	_, log, _ = strings.Cut(log, "Ctrl-C drains ") // the summary shows the demo log-in on purpose
	s.look("log", []byte(log))
	t.Logf("%d secrets looked for in %d files, %d MiB, a dump and the log: hits %d", len(secrets), s.files, s.bytes>>20, s.hits)
	for _, store := range []string{"dump", "postgres", "records", "clickhouse"} {
		if !s.found[store] {
			t.Errorf("the control: what is no secret is not found in %s; found in %v", store, s.found)
		}
	}
	if len(log) < 1000 || s.files < 100 {
		t.Errorf("%d bytes of log and %d files are too few", len(log), s.files)
	}
}

// dump is pg_dump's.
func (in *installation) dump() string {
	in.t.Helper()
	bins, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	if err != nil || len(bins) == 0 {
		in.t.Fatal("no pg_dump beside Postgres: ", err)
	}
	out, err := exec.CommandContext(in.t.Context(), bins[len(bins)-1], in.Postgres).Output()
	if err != nil {
		in.t.Fatal("pg_dump: ", err)
	}
	return string(out)
}

// records are those of every topic, taken out of their compressed batches, up to
// those that hold a word and a little longer.
func (in *installation) records(until string) (all []byte) {
	in.t.Helper()
	cfg := broker.DefaultConfig()
	cfg.Brokers = []string{in.Kafka}
	cl, err := broker.Client(cfg, kgo.ConsumeTopics(".*"), kgo.ConsumeRegex(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		in.t.Fatal(err)
	}
	defer cl.Close()
	for found, quiet, end := false, 0, time.Now().Add(patience); (!found || quiet < 3) && time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(in.t.Context(), time.Second)
		fs := cl.PollFetches(ctx)
		cancel()
		quiet++
		fs.EachRecord(func(r *kgo.Record) {
			quiet = 0
			all = append(append(all, r.Key...), r.Value...)
			for _, h := range r.Headers {
				all = append(all, h.Value...)
			}
		})
		found = bytes.Contains(all, []byte(until))
	}
	return all
}

// search looks for secrets, as they are and in the forms in which a store may
// write them.
type search struct {
	t       *testing.T
	secrets map[string]string
	open    string
	found   map[string]bool // where the control was found
	files   int
	bytes   int
	hits    int
}

func (s *search) look(where string, b []byte) {
	s.bytes += len(b)
	store, _, _ := strings.Cut(where, "/")
	if bytes.Contains(b, []byte(s.open)) {
		s.found[store] = true
	}
	for what, secret := range s.secrets {
		for form, text := range map[string]string{
			"": secret, " in hexadecimal": hex.EncodeToString([]byte(secret)), " in base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
		} {
			if bytes.Contains(b, []byte(text)) {
				s.hits++
				s.t.Errorf("%s holds %s%s", where, what, form)
			}
		}
	}
}

// tree looks into every file of the data directory but those that keep the demo
// log-in and the way to the stores on purpose, readable by their owner only.
func (s *search) tree(root string) {
	s.t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		where, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if where == "login.json" || where == "foodflow.yaml" {
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				s.t.Errorf("%s is %v", where, info.Mode())
			}
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s.files++
		s.look(filepath.ToSlash(where), b)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
