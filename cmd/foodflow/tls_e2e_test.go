package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/internal/broker/apache"
	"github.com/foodflow/foodflow/internal/lifecycle"
	postgresembedded "github.com/foodflow/foodflow/internal/postgres/embedded"
	"github.com/foodflow/foodflow/internal/testkit"
	"github.com/foodflow/foodflow/internal/testkit/testcert"
	"github.com/foodflow/foodflow/internal/tlsconf"
	"github.com/foodflow/foodflow/schemas"
	registryembedded "github.com/foodflow/foodflow/schemas/registry/embedded"
)

// secured is an installation whose stores and listeners speak TLS only and want
// certificates of their clients.
type secured struct {
	*installation
	ca        *testcert.CA
	cert, key string // of clients
	file      string // the configuration
	http      *http.Client
	addrs     map[string]string
}

// front terminates TLS, demanding a certificate, before something that can't.
func (s *secured) front(h http.Handler) string {
	s.t.Helper()
	cert, key := s.ca.Issue(s.t, "front", time.Now().Add(time.Hour))
	cfg, err := tlsconf.Server{Cert: cert, Key: key, ClientCA: s.ca.File()}.Config("front", tlsconf.NewMetrics(nil), slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	srv.TLS = cfg
	srv.StartTLS()
	s.t.Cleanup(srv.Close)
	return strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
}

// postgres starts a real server that lets nobody in without TLS and without a
// certificate of the user's name.
func (s *secured) startPostgres() {
	s.t.Helper()
	dir := filepath.Join(s.dir, "pg")
	addr := s.addrs["postgres"]
	p, _, err := postgresembedded.New(s.t.Context(), postgresembedded.Config{Dir: dir, Addr: addr, Password: "pg-secret"}, io.Discard, slog.New(slog.DiscardHandler))
	if err != nil {
		if os.Getenv("REQUIRE_SERVICES") == "" {
			s.t.Skip("needs postgres: ", err)
		}
		s.t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	cert, key := s.ca.Issue(s.t, "postgres-server", time.Now().Add(time.Hour))
	hba := "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n"
	for name, from := range map[string]string{"server.crt": cert, "server.key": key, "root.crt": s.ca.File(), "pg_hba.conf": ""} {
		body := []byte(hba)
		if from != "" {
			if body, err = os.ReadFile(from); err != nil {
				s.t.Fatal(err)
			}
		}
		to := filepath.Join(data, name)
		if err := os.WriteFile(to, body, 0o600); err != nil {
			s.t.Fatal(err)
		}
		if p.User != nil {
			if err := os.Chown(to, int(p.User.Uid), int(p.User.Gid)); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	p.Args = append(p.Args, "-c", "ssl=on", "-c", "ssl_cert_file=server.crt", "-c", "ssl_key_file=server.key", "-c", "ssl_ca_file=root.crt")
	if err := p.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = p.Stop(context.WithoutCancel(s.t.Context())) })
}

func newSecured(t *testing.T) *secured {
	t.Helper()
	in := install(t)
	s := &secured{installation: in, ca: testcert.NewCA(t)}
	s.cert, s.key = s.ca.Issue(t, "postgres", time.Now().Add(time.Hour))
	var err error
	if s.addrs, err = lifecycle.Ports(s.dir, map[string]string{
		"postgres": "127.0.0.1:0", "http": "127.0.0.1:0", "mqtt": "127.0.0.1:0", "api": "127.0.0.1:0", "ia": "127.0.0.1:0", "pa": "127.0.0.1:0", "aa": "127.0.0.1:0",
	}); err != nil {
		t.Fatal(err)
	}
	bcert, bkey := s.ca.Issue(t, "broker", time.Now().Add(time.Hour))
	store := filepath.Join(s.ca.Dir, "broker-store.pem")
	var both []byte
	for _, f := range []string{bkey, bcert} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, b...)
	}
	if err := os.WriteFile(store, both, 0o600); err != nil {
		t.Fatal(err)
	}
	client := tlsconf.Client{CA: s.ca.File(), Cert: s.cert, Key: s.key}
	kafka := testkit.ApacheTLS(t, 1, &apache.TLS{Keystore: store, CA: s.ca.File(), Probe: client})
	s.Kafka = kafka.Seeds()[0]
	engine, err := url.Parse(embeddedtest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	s.Clickhouse = s.front(httputil.NewSingleHostReverseProxy(engine))
	reg, err := registryembedded.Open(filepath.Join(s.dir, "registry"), schemas.Compatible, schemas.Valid)
	if err != nil {
		t.Fatal(err)
	}
	s.Registry = s.front(reg)
	s.startPostgres()
	tlsClient, err := client.Config()
	if err != nil {
		t.Fatal(err)
	}
	s.http = &http.Client{Transport: &http.Transport{TLSClientConfig: tlsClient, ForceAttemptHTTP2: true}, Timeout: 30 * time.Second}
	t.Cleanup(s.http.CloseIdleConnections)
	s.write()
	return s
}

// write writes the configuration of all roles into one file, its password into
// another.
func (s *secured) write() {
	s.t.Helper()
	lcert, lkey := s.ca.Issue(s.t, "listener", time.Now().Add(time.Hour))
	secret := filepath.Join(s.dir, "postgres-url")
	to := fmt.Sprintf("{ca: %s, cert: %s, key: %s}", s.ca.File(), s.cert, s.key)
	at := fmt.Sprintf("{cert: %s, key: %s, client_ca: %s}", lcert, lkey, s.ca.File())
	body := fmt.Sprintf(`
kafka: {brokers: ["%[1]s"], partitions: 2, tls: %[2]s}
registry: {url: "%[3]s", tls: %[2]s}
clickhouse: {url: "%[4]s", database: over_tls, tls: %[2]s}
postgres: {url_file: %[5]s, tls: %[2]s, connections: 8}
cache_dir: %[6]s
http: {tls: %[7]s}
mqtt: {tls: %[7]s}
admin: {tls: %[7]s}
ingest: {http_addr: "%[8]s", mqtt_addr: "%[9]s", admin_addr: "%[10]s"}
processors: {admin_addr: "%[11]s"}
api: {http_addr: "%[12]s", admin_addr: "%[13]s", secret_file: %[6]s/secret}
`, s.Kafka, to, s.Registry, s.Clickhouse, secret, s.dir, at, s.addrs["http"], s.addrs["mqtt"], s.addrs["ia"], s.addrs["pa"], s.addrs["api"], s.addrs["aa"])
	s.file = filepath.Join(s.dir, "foodflow.yaml")
	for path, text := range map[string]string{s.file: body, secret: "postgres://postgres:pg-secret@" + s.addrs["postgres"] + "/postgres\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// run runs a command to its end and gives what it printed.
func (s *secured) run(args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.bin, append([]string{"--config", s.file}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("foodflow %v: %v\n%s%s", args, err, out, &stderr)
	}
	return string(out)
}

func (s *secured) role(name string) {
	s.t.Helper()
	p := &lifecycle.Process{Name: name, Path: s.bin, Args: []string{"--config", s.file, name}, Log: s, Logger: slog.New(slog.DiscardHandler)}
	if err := p.Start(s.t.Context()); err != nil {
		s.t.Fatalf("%v\n%s", err, s.tail())
	}
	s.t.Cleanup(func() { _ = p.Stop(context.WithoutCancel(s.t.Context())) })
}

// TestEverythingOverTLS runs the roles with TLS and client certificates on every
// listener and to every store: Apache Kafka and Postgres themselves, ClickHouse
// and the registry behind a terminating proxy. A reading goes in by HTTPS and by
// MQTT over TLS and comes out of ClickHouse; nobody without a certificate gets a
// word, on any of the listeners.
func TestEverythingOverTLS(t *testing.T) {
	s := newSecured(t)
	if out := s.run("config", "check"); out != "" {
		t.Fatal(out)
	}
	s.run("migrate")
	s.role("api")
	s.role("processors")
	s.role("ingest")
	var made struct {
		APIKey string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(s.run("tenants", "create", "acme", "Acme", "--admin-email", "a@acme.example", "--json")), &made); err != nil {
		t.Fatal(err)
	}
	post := func(url, body string, want int) map[string]any {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-API-Key", made.APIKey)
			req.Header.Set("Content-Type", "application/json")
			resp, err := s.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			var v map[string]any
			_ = json.Unmarshal(text, &v)
			if resp.StatusCode == want {
				return v
			}
			if time.Now().After(deadline) { // keys and sensors are known a moment later
				t.Fatalf("%s: %d %s\n%s", url, resp.StatusCode, text, s.tail())
			}
		}
	}
	line := post("https://"+s.addrs["api"]+"/api/v1/plant-ops/lines", `{"key":"l1","name":"L1","time_zone":"Europe/Vienna","unit":"bottle"}`, http.StatusCreated)
	post("https://"+s.addrs["api"]+"/api/v1/plant-ops/sensors", fmt.Sprintf(`{"key":"s1","name":"S1","line_id":"%s","unit":"degC","kind":"temperature"}`, line["id"]), http.StatusCreated)
	post("https://"+s.addrs["http"]+"/v1/readings", fmt.Sprintf(`{"readings":[{"sensor":"s1","ts":%d,"value":1}]}`, time.Now().UnixMilli()), http.StatusAccepted)
	s.publish("acme", made.APIKey)
	cfg := clickhouse.DefaultConfig()
	cfg.URL, cfg.Database, cfg.TLS = s.Clickhouse, "over_tls", tlsconf.Client{CA: s.ca.File(), Cert: s.cert, Key: s.key}
	ch, err := clickhouse.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		out, err := ch.Exec(t.Context(), "SELECT sum(value) FROM readings", nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(out) == "3" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("ClickHouse has %s\n%s", out, s.tail())
		}
	}
	s.strangers()
}

// publish sends one reading by MQTT over TLS.
func (s *secured) publish(tenant, key string) {
	s.t.Helper()
	own, err := tlsconf.Client{CA: s.ca.File(), Cert: s.cert, Key: s.key}.Config()
	if err != nil {
		s.t.Fatal(err)
	}
	opts := mqtt.NewClientOptions().AddBroker("tls://" + s.addrs["mqtt"]).SetClientID("c").SetUsername(key).SetTLSConfig(own)
	c := mqtt.NewClient(opts)
	if tok := c.Connect(); tok.Wait() && tok.Error() != nil {
		s.t.Fatal(tok.Error())
	}
	defer c.Disconnect(0)
	if tok := c.Publish("ff/v1/"+tenant+"/s1", 1, false, "2"); !tok.WaitTimeout(30*time.Second) || tok.Error() != nil {
		s.t.Fatal("not acknowledged: ", tok.Error())
	}
}

// strangers finds no listener that answers without TLS or without a
// certificate.
func (s *secured) strangers() {
	s.t.Helper()
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(s.ca.File())
	if err != nil {
		s.t.Fatal(err)
	}
	pool.AppendCertsFromPEM(pem)
	for _, name := range []string{"http", "mqtt", "api", "ia", "pa", "aa"} {
		plain, err := net.DialTimeout("tcp", s.addrs[name], 10*time.Second)
		if err != nil {
			s.t.Fatal(err)
		}
		if got := words(plain, "GET / HTTP/1.0\r\n\r\n"); strings.Contains(got, "200 OK") || strings.Contains(got, "problem") {
			s.t.Errorf("%s answers plain text: %q", name, got)
		}
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", s.addrs[name], &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
		if err == nil { // TLS 1.3 tells a client that it was refused after its own handshake
			if got := words(conn, "GET / HTTP/1.0\r\n\r\n"); got != "" {
				s.t.Errorf("%s answers a client without a certificate: %q", name, got)
			}
		}
	}
}

// words sends text and gives what comes back until the other side ends.
func words(c net.Conn, text string) string {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, text)
	b, _ := io.ReadAll(io.LimitReader(c, 4096))
	return string(b)
}
