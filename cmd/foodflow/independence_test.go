package main_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/lifecycle"
	"github.com/foodflow/foodflow/internal/postgres/embedded"
)

// ownServer is a Postgres that nobody starts again by itself.
type ownServer struct {
	t   *testing.T
	p   *lifecycle.Process
	cmd *exec.Cmd
}

func newOwnServer(t *testing.T) (s *ownServer, url string) {
	t.Helper()
	dir := dataDir(t)
	addrs, err := lifecycle.Ports(dir, map[string]string{"postgres": "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	s = &ownServer{t: t}
	s.p, url, err = embedded.New(t.Context(), embedded.Config{Dir: filepath.Join(dir, "postgres"), Addr: addrs["postgres"], Password: "x"}, io.Discard, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.stop)
	return s, url
}

func (s *ownServer) start() {
	s.t.Helper()
	s.cmd = exec.Command(s.p.Path, s.p.Args...)
	s.cmd.Dir, s.cmd.SysProcAttr = s.p.Dir, &syscall.SysProcAttr{Credential: s.p.User, Pdeathsig: syscall.SIGQUIT}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if s.p.Probe(context.Background()) == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("postgres does not answer")
		}
	}
}

// stop is pg_ctl stop -m immediate: no checkpoint, no goodbye.
func (s *ownServer) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // it is there until it is waited for
	_ = s.cmd.Wait()                          // its status tells what we did to it
	s.cmd = nil
}

// status sends a request and gives the answer's status and Retry-After.
func (c *caller) status(method, path string) (int, string) {
	c.in.t.Helper()
	req, err := http.NewRequestWithContext(c.in.t.Context(), method, c.in.API+path, http.NoBody)
	if err != nil {
		c.in.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Retry-After")
}

// TestPostgresStopped (P14 on the whole program): with Postgres stopped in the
// hard way, and a new ingest and new processors besides, readings are accepted
// and reach ClickHouse; the API serves readings and OEE and answers 503 for the
// rest; and all is well when Postgres is back.
func TestPostgresStopped(t *testing.T) {
	server, url := newOwnServer(t)
	in := install(t)
	in.more = []string{"--postgres-url", url}
	in.start()
	admin := in.login(in.Email, in.Password)
	l := in.slowLoad(2, 20*time.Millisecond)
	in.until("readings are stored", func() bool { return in.holds(100) })
	server.stop()
	at := time.Now()
	before := l.acked.Load()
	in.until("readings are accepted", func() bool { return l.acked.Load() > before+200 })
	in.until("they are stored", func() bool { return in.holds(int(before) + 200) })
	in.kill(" ingest ")
	in.kill("processors")
	during := l.acked.Load()
	in.until("a new ingest accepts", func() bool { return l.acked.Load() > during+200 })
	in.until("new processors store", func() bool { return in.holds(int(during) + 200) })
	const ops = "/api/v1/plant-ops/"
	for _, path := range []string{ops + "sensors/filler-temperature/readings", ops + "lines/bottling-1/oee", "/health"} {
		if got, _ := admin.status("GET", path); got != http.StatusOK {
			t.Errorf("GET %s: %d", path, got)
		}
	}
	for _, path := range []string{ops + "lines", "/api/v1/users", "/api/v1/events"} {
		if got, wait := admin.status("GET", path); got != http.StatusServiceUnavailable || wait == "" {
			t.Errorf("GET %s: %d, Retry-After %q", path, got, wait)
		}
	}
	away := time.Since(at)
	server.start()
	back := in.until("the API serves all again", func() bool {
		time.Sleep(50 * time.Millisecond)
		got, _ := admin.status("GET", ops+"lines")
		return got == http.StatusOK
	})
	line := admin.do("POST", in.API+ops+"lines", map[string]any{"key": "after", "name": "After", "time_zone": "UTC", "unit": "jar"}, 201)
	in.until("the change is known", func() bool {
		got, _ := admin.status("GET", ops+"lines/"+fmt.Sprint(line["id"])+"/oee")
		time.Sleep(50 * time.Millisecond)
		return got == http.StatusOK
	})
	acked := l.end()
	in.settled(acked)
	t.Logf("Postgres away for %v: accepted and stored meanwhile %d, missing 0, extra 0; all served %v after its return",
		away.Round(time.Millisecond), int64(acked)-before, back.Round(time.Millisecond))
	in.stop()
}

// TestChangesAreKnownWithinASecond (S9, and the directory's promise) measures the
// way of a change from the API's answer through outbox and Kafka to ingest: a new
// sensor, a new key, a revocation, by HTTP and by MQTT.
func TestChangesAreKnownWithinASecond(t *testing.T) {
	in := install(t)
	in.start()
	admin := in.login(in.Email, in.Password)
	gateway := &caller{in: in, key: in.APIKey}
	took := map[string][]time.Duration{}
	var asked []time.Duration // what the API took to answer
	for i := range 8 {
		key := fmt.Sprint("new-", i)
		began := time.Now()
		admin.do("POST", in.API+"/api/v1/plant-ops/sensors", map[string]any{"key": key, "name": "New", "unit": "degC", "kind": "temperature"}, 201)
		asked = append(asked, time.Since(began))
		took["sensor by HTTP"] = append(took["sensor by HTTP"], in.until("the sensor is known", func() bool { return gateway.sends(key, time.Now(), 1) == http.StatusAccepted }))
		made := admin.do("POST", in.API+"/api/v1/api-keys", map[string]any{"name": key, "scopes": []string{"ingest"}}, 201)
		own := &caller{in: in, key: fmt.Sprint(made["key"])}
		took["key by HTTP"] = append(took["key by HTTP"], in.until("the key is known", func() bool { return own.sends(key, time.Now(), 2) == http.StatusAccepted }))
		mqtt := in.mqttWith(own.key, key)
		if mqtt == nil {
			t.Fatal("MQTT refuses the key that HTTP takes")
		}
		admin.do("DELETE", in.API+"/api/v1/api-keys/"+fmt.Sprint(made["id"]), nil, 204)
		revoked := time.Now()
		in.until("the key is refused", func() bool { return own.sends(key, time.Now(), 3) == http.StatusUnauthorized })
		took["revocation by HTTP"] = append(took["revocation by HTTP"], time.Since(revoked))
		in.until("the connection ends", func() bool { return !mqtt.IsConnectionOpen() })
		took["revocation of an MQTT connection"] = append(took["revocation of an MQTT connection"], time.Since(revoked))
		if again := in.mqttWith(own.key, key); again != nil {
			t.Error("MQTT takes a revoked key")
		}
	}
	// The promise is a second. The API answers in some ten milliseconds; where a
	// machine that does other things takes longer for that, the second is longer in
	// proportion.
	slices.Sort(asked)
	second := max(time.Second, 50*asked[len(asked)/2])
	for what, d := range took {
		slices.Sort(d)
		median, most := d[len(d)/2], d[len(d)-1]
		t.Logf("%s: known after %v, at most %v", what, median.Round(time.Millisecond), most.Round(time.Millisecond))
		if median > second {
			t.Errorf("%s: median %v, more than %v", what, median, second)
		}
	}
	in.stop()
}
