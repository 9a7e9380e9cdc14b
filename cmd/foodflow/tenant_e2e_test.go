package main_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
)

// caller speaks HTTP for one tenant.
type caller struct {
	in    *installation
	token string
	key   string
}

func (c *caller) do(method, url string, body any, want int) map[string]any {
	c.in.t.Helper()
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			c.in.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(c.in.t.Context(), method, url, &b)
	if err != nil {
		c.in.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodDelete {
		req.Header.Set("If-Match", "*")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	} else if c.key != "" {
		req.Header.Set("X-API-Key", c.key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.in.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.in.t.Fatal(err)
	}
	if resp.StatusCode != want {
		c.in.t.Fatalf("%s %s: %d, want %d: %s", method, url, resp.StatusCode, want, text)
	}
	var v map[string]any
	_ = json.Unmarshal(text, &v) // an answer without a body leaves it nil
	return v
}

func (in *installation) login(email, password string) *caller {
	in.t.Helper()
	c := &caller{in: in}
	c.token, _ = c.do(http.MethodPost, in.API+"/api/v1/auth/login", map[string]string{"email": email, "password": password}, http.StatusOK)["access_token"].(string)
	return c
}

// events gives the types of the domain events of a tenant on Kafka.
func (in *installation) events(tenant string, until func(map[string]int) bool) map[string]int {
	in.t.Helper()
	cfg := broker.DefaultConfig()
	cfg.Brokers = []string{in.Kafka}
	cl, err := broker.Client(cfg, kgo.ConsumeTopics(broker.TopicEvents), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		in.t.Fatal(err)
	}
	defer cl.Close()
	types := map[string]int{}
	for deadline := time.Now().Add(30 * time.Second); !until(types); {
		if time.Now().After(deadline) {
			in.t.Fatalf("events on Kafka: %v", types)
		}
		cl.PollFetches(in.t.Context()).EachRecord(func(r *kgo.Record) {
			h := map[string]string{}
			for _, x := range r.Headers {
				h[x.Key] = string(x.Value)
			}
			if h["ce_tenantid"] == tenant {
				types[strings.TrimPrefix(h["ce_type"], "com.foodflow.")]++
			}
		})
	}
	return types
}

// TestNewTenant makes a tenant with one command, describes a plant over REST,
// sends readings with its key, runs a batch, reads the events back from the
// store and from Kafka, and finds that another tenant sees none of it.
func TestNewTenant(t *testing.T) {
	in := install(t)
	in.start()
	out, err := exec.CommandContext(t.Context(), in.bin, "tenants", "create", "acme", "Acme Foods", "--admin-email", "ana@acme.example", "--postgres-url", in.Postgres, "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		ID, Email, Password string
		APIKey              string `json:"api_key"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatal(err)
	}
	acme := in.login(made.Email, made.Password)
	ops := in.API + "/api/v1/plant-ops/"
	product := acme.do("POST", ops+"products", map[string]any{"key": "jam", "name": "Jam", "unit": "jar"}, 201)
	acme.do("POST", ops+"calendars", map[string]any{"key": "day", "name": "Day", "time_zone": "Europe/Madrid", "cycle_days": 7, "anchor": "2026-01-05", "shifts": []any{map[string]any{"key": "d", "day": 0, "start": "06:00", "minutes": 480}}}, 201)
	line := acme.do("POST", ops+"lines", map[string]any{"key": "jam-1", "name": "Jam 1", "time_zone": "Europe/Madrid", "unit": "jar", "ideal_rates": []any{map[string]any{"product": "jam", "per_minute": 60}}}, 201)
	acme.do("POST", ops+"lines", map[string]any{"key": "jam-2", "name": "Jam 2", "time_zone": "Europe/Madrid", "unit": "jar"}, 201)
	sensor := acme.do("POST", ops+"sensors", map[string]any{"key": "kettle", "name": "Kettle", "unit": "degC", "kind": "temperature", "line_id": line["id"]}, 201)

	// The sensor is known to ingest within a second of its making.
	gateway := &caller{in: in, key: made.APIKey}
	time.Sleep(time.Second)
	now := time.Now().UTC()
	gateway.do("POST", in.Ingest+"/v1/readings", map[string]any{"readings": []any{map[string]any{"sensor": "kettle", "ts": now, "value": 95}}}, 202)
	gateway.do("POST", in.Ingest+"/v1/line-events", map[string]any{"events": []any{
		map[string]any{"line": "jam-1", "ts": now, "type": "state", "state": "EXECUTE"},
		map[string]any{"line": "jam-1", "ts": now.Add(time.Millisecond), "type": "state", "state": "HELD", "reason": "jammed"},
	}}, 202)
	acme.do("POST", ops+"batches", map[string]any{"key": "B1", "line_id": line["id"], "product_id": product["id"], "unit": "jar", "planned_quantity": 10}, 201)
	acme.do("POST", ops+"batches/B1/start", nil, 200)
	acme.do("POST", ops+"batches/B1/complete", map[string]any{"actual_quantity": 9, "scrap_quantity": 1}, 200)

	want := []string{"BatchCreated", "BatchStarted", "BatchCompleted", "LineDowntime", "SensorCreated"}
	all := func(have map[string]int) bool {
		for _, w := range want {
			if have[w] == 0 {
				return false
			}
		}
		return true
	}
	in.events(made.ID, all)
	stored := map[string]int{}
	items, _ := acme.do("GET", in.API+"/api/v1/events?limit=100", nil, 200)["items"].([]any)
	for _, e := range items {
		kind, _ := e.(map[string]any)["type"].(string)
		stored[kind]++
	}
	if !all(stored) {
		t.Errorf("event store holds %v", stored)
	}
	readings := func() int {
		items, _ := acme.do("GET", ops+"sensors/kettle/readings?resolution=raw", nil, 200)["items"].([]any)
		return len(items)
	}
	for deadline := time.Now().Add(20 * time.Second); readings() != 1; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the reading never shows")
		}
	}

	// The demo tenant's admin sees none of it, and its key can't send to it.
	demo := in.login(in.Email, in.Password)
	for _, path := range []string{"lines/" + line["id"].(string), "sensors/" + sensor["id"].(string), "sensors/" + sensor["id"].(string) + "/readings", "products/jam", "batches/B1", "lines/" + line["id"].(string) + "/oee"} {
		demo.do("GET", ops+path, nil, 404)
	}
	stranger := &caller{in: in, key: in.APIKey}
	stranger.do("POST", in.Ingest+"/v1/readings", map[string]any{"readings": []any{map[string]any{"sensor": sensor["id"], "ts": now, "value": 1}}}, 422)
	in.stop()
}
