package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// person is somebody of one tenant, with the tools that people have: curl,
// mosquitto_pub, kcat and this program.
type person struct {
	in                *installation
	id                string // of the tenant
	credential, label string
}

// tools skips where one is missing; with REQUIRE_SERVICES set it fails.
func tools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("REQUIRE_SERVICES") == "" {
			t.Skip("needs ", name)
		}
		t.Fatal("missing: ", name)
	}
}

// run runs a program and gives what it prints.
func (in *installation) run(name string, args ...string) (string, error) {
	out, err := exec.CommandContext(in.t.Context(), name, args...).CombinedOutput()
	return string(out), err
}

// ask is curl; it gives status and body.
func (p *person) ask(method, url, body string) (status, text string) {
	p.in.t.Helper()
	args := []string{"-sS", "-X", method, "-w", "\n%{http_code}", url}
	if strings.HasPrefix(p.credential, "ff_") {
		args = append(args, "-H", "X-API-Key: "+p.credential)
	} else if p.credential != "" {
		args = append(args, "-H", "Authorization: Bearer "+p.credential)
	}
	if body != "" {
		args = append(args, "-H", "Content-Type: application/json", "-d", body)
	}
	out, err := p.in.run("curl", args...)
	if err != nil {
		p.in.t.Fatalf("%s %s: %v: %s", method, url, err, out)
	}
	cut := strings.LastIndexByte(out, '\n')
	return out[cut+1:], out[:cut]
}

// want asks and demands a status.
func (p *person) want(status, method, url, body string) map[string]any {
	p.in.t.Helper()
	got, text := p.ask(method, url, body)
	if got != status {
		p.in.t.Fatalf("%s: %s %s: %s, want %s: %s", p.label, method, url, got, status, text)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		p.in.t.Fatalf("%s %s: %v: %s", method, url, err, text)
	}
	return v
}

// items reads a list.
func (p *person) items(path string) (out []map[string]any) {
	p.in.t.Helper()
	list, _ := p.want("200", "GET", p.in.API+"/api/v1/"+path, "")["items"].([]any)
	for _, x := range list {
		m, _ := x.(map[string]any)
		out = append(out, m)
	}
	return out
}

// newTenant makes one by one command and logs its admin in.
func (in *installation) newTenant(key, name string) (admin, gateway *person) {
	in.t.Helper()
	var it made
	in.tenants(&it, "create", key, name, "--admin-email", "ana@"+key+".example", "--json")
	admin = &person{in: in, id: it.ID, label: "admin of " + key}
	admin.credential = in.login(it.Email, it.Password).token
	return admin, &person{in: in, id: it.ID, credential: it.APIKey, label: "key of " + key}
}

// make creates a thing and gives its id.
func (p *person) make(path, body string) string {
	p.in.t.Helper()
	id, _ := p.want("201", "POST", p.in.API+"/api/v1/"+path, body)["id"].(string)
	return id
}

// publish sends a message by MQTT 5, whose refusals the client prints.
func (p *person) publish(topic, payload string) (string, error) {
	p.in.t.Helper()
	host, port, err := net.SplitHostPort(p.in.MQTT)
	if err != nil {
		p.in.t.Fatal(err)
	}
	return p.in.run("mosquitto_pub", "-V", "mqttv5", "-h", host, "-p", port, "-u", p.credential, "-q", "1", "-t", topic, "-m", payload)
}

// onKafka gives the types of a tenant's events on Kafka by their ids, as kcat
// shows their headers.
func (in *installation) onKafka(tenant string) map[string]string {
	in.t.Helper()
	out, err := exec.CommandContext(in.t.Context(), "kcat", "-b", in.Kafka, "-C", "-q", "-e", "-o", "beginning", "-t", "foodflow.events.v1", "-f", "%h\n").Output()
	if err != nil {
		in.t.Fatalf("kcat: %v", err)
	}
	events := map[string]string{}
	for line := range strings.Lines(string(out)) {
		h := map[string]string{}
		for pair := range strings.SplitSeq(strings.TrimSpace(line), ",") {
			name, value, _ := strings.Cut(pair, "=")
			h[name] = value
		}
		if h["ce_tenantid"] != tenant {
			continue
		}
		if h["ce_specversion"] != "1.0" || h["ce_source"] != "/foodflow/tenants/"+tenant || h["ce_subject"] == "" || h["ce_time"] == "" || h["content-type"] != "application/avro" {
			in.t.Errorf("no CloudEvent in binary mode: %s", line)
		}
		events[h["ce_id"]] = strings.TrimPrefix(h["ce_type"], "com.foodflow.")
	}
	return events
}

// story is what the steps of TestTheWholeStory hand on.
type story struct {
	t                    *testing.T
	in                   *installation
	ana, gateway, second *person // second is the other tenant's admin
	ops                  string
	ids                  map[string]string // of one thing of each kind
}

// TestTheWholeStory is issue 4's own: with one command there is a new tenant;
// its plant is described over REST, sends over HTTP and MQTT, and runs a batch
// from plan to completion, whose events are read back from the event store and
// from Kafka; a second tenant can see none of it by any route.
func TestTheWholeStory(t *testing.T) {
	tools(t, "curl", "mosquitto_pub", "kcat")
	in := install(t)
	in.start()
	out, err := in.run(in.bin, "tenants", "create", "acme", "Acme Foods", "--admin-email", "ana", "--postgres-url", in.Postgres)
	if err == nil || !strings.Contains(out, "foodflow: error: admin.email must be an e-mail address") {
		t.Errorf("a mistaken address: %v, %s", err, out)
	}
	s := &story{t: t, in: in, ops: in.API + "/api/v1/plant-ops/", ids: map[string]string{}}
	s.ana, s.gateway = in.newTenant("acme", "Acme Foods")
	var rivals *person
	s.second, rivals = in.newTenant("rival", "Rival")
	s.describe()
	s.send()
	s.batch()
	s.readBack()
	s.events()
	s.unseen(rivals)
	in.stop()
}

func (s *story) describe() {
	ana, ids := s.ana, s.ids
	ids["calendars"] = ana.make("plant-ops/calendars", `{"key":"two-shifts","name":"Two shifts","time_zone":"Europe/Madrid","cycle_days":1,"anchor":"2026-01-05","shifts":[{"key":"early","day":0,"start":"00:00","minutes":720},{"key":"late","day":0,"start":"12:00","minutes":720}]}`)
	ids["products"] = ana.make("plant-ops/products", `{"key":"jam","name":"Jam","unit":"jar"}`)
	ana.make("plant-ops/products", `{"key":"honey","name":"Honey","unit":"jar"}`)
	ids["lines"] = ana.make("plant-ops/lines", fmt.Sprintf(`{"key":"jam-1","name":"Jam 1","time_zone":"Europe/Madrid","unit":"jar","calendar_id":%q,"ideal_rates":[{"product":"jam","per_minute":60},{"product":"honey","per_minute":30}]}`, ids["calendars"]))
	ana.make("plant-ops/lines", `{"key":"jam-2","name":"Jam 2","time_zone":"Europe/Madrid","unit":"jar","ideal_rate":50}`)
	ids["stop-reasons"] = ana.make("plant-ops/stop-reasons", `{"key":"machine","name":"Machine"}`)
	ana.make("plant-ops/stop-reasons", fmt.Sprintf(`{"key":"jammed","name":"Jammed","class":"breakdown","parent_id":%q}`, ids["stop-reasons"]))
	ids["sensors"] = ana.make("plant-ops/sensors", fmt.Sprintf(`{"key":"kettle","name":"Kettle","unit":"degC","kind":"temperature","line_id":%q,"h":90}`, ids["lines"]))
	ana.make("plant-ops/sensors", `{"key":"pot","name":"Pot","unit":"degC","kind":"temperature"}`)
	ids["users"] = ana.make("users", `{"email":"ben@acme.example","name":"Ben","role":"operator","password":"a long password"}`)
	key := ana.want("201", "POST", s.in.API+"/api/v1/api-keys", `{"name":"PLC gateway","scopes":["ingest"]}`)
	ids["api-keys"], _ = key["id"].(string)
	ids["tenants"] = ana.id
	s.gateway.credential, _ = key["key"].(string)
	s.in.until("the API knows the new key", func() bool {
		status, _ := s.gateway.ask("GET", s.ops+"lines", "")
		return status != "401"
	})
	s.gateway.want("403", "GET", s.ops+"lines", "") // it may send and nothing else
}

func (s *story) send() {
	now := time.Now().UTC()
	ts := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339Nano) }
	reading := func(at time.Duration, value, seq int) string {
		return fmt.Sprintf(`{"readings":[{"sensor":"kettle","ts":%q,"value":%d,"seq":%d}]}`, ts(at), value, seq)
	}
	s.in.until("ingest takes the new key", func() bool {
		status, text := s.gateway.ask("POST", s.in.Ingest+"/v1/readings", reading(-3*time.Second, 85, 1))
		if status != "202" && status != "401" && status != "422" { // not known yet
			s.t.Fatalf("%s %s", status, text)
		}
		return status == "202"
	})
	s.in.everybodyKnows() // the limit that the next one passes, too
	s.gateway.want("202", "POST", s.in.Ingest+"/v1/readings", reading(-2*time.Second, 95, 2))
	if out, err := s.gateway.publish("ff/v1/acme/kettle", fmt.Sprintf(`{"ts":%q,"value":84,"seq":3}`, ts(-time.Second))); err != nil || out != "" {
		s.t.Fatalf("mosquitto_pub: %v: %s", err, out)
	}
	s.stand()
	// The count's minute is over, and closed by the readings, whenever this is.
	s.gateway.want("202", "POST", s.in.Ingest+"/v1/line-events", fmt.Sprintf(`{"events":[{"line":"jam-1","ts":%q,"type":"state","state":"EXECUTE"},
		{"line":"jam-1","ts":%q,"type":"count","good":5,"scrap":1,"unit":"jar"},{"line":"jam-1","ts":%q,"type":"state","state":"HELD","reason":"jammed"}]}`,
		ts(-120*time.Second), ts(-90*time.Second), ts(-30*time.Second)))
}

// still is how often the pot's value comes.
const still = 300

// stand sends a value that stands still, as a gateway does that was cut off: many
// bare numbers at once.
func (s *story) stand() {
	host, port, err := net.SplitHostPort(s.in.MQTT)
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), "mosquitto_pub", "-h", host, "-p", port, "-u", s.gateway.credential, "-q", "1", "-t", "ff/v1/acme/pot", "-l")
	cmd.Stdin = strings.NewReader(strings.Repeat("3.5\n", still))
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("mosquitto_pub: %v: %s", err, out)
	}
}

func (s *story) batch() {
	ana := s.ana
	s.ids["batches"] = ana.make("plant-ops/batches", fmt.Sprintf(`{"key":"B1","line_id":%q,"product_id":%q,"unit":"jar","planned_quantity":100,"lots_in":[{"lot":"L-7","material":"Strawberries","quantity":60,"unit":"kg"}]}`, s.ids["lines"], s.ids["products"]))
	ana.want("409", "POST", s.ops+"batches/B1/complete", `{"actual_quantity":90,"scrap_quantity":10}`)
	ana.want("200", "POST", s.ops+"batches/B1/start", "")
	done := ana.want("200", "POST", s.ops+"batches/B1/complete", `{"actual_quantity":90,"scrap_quantity":10,"labour_cost":60,"material_cost":27,"scrap_cost":3}`)
	f, _ := done["figures"].(map[string]any)
	if done["state"] != "completed" || f["yield"] != 0.9 || f["scrap_rate"] != 0.1 || f["total_cost"] != 90.0 || f["unit_cost"] != 1.0 {
		s.t.Errorf("the batch ends as %v", done)
	}
}

// readBack finds readings, OEE, an alarm and the key's use.
func (s *story) readBack() {
	s.in.until("the readings are there", func() bool { return len(s.ana.items("plant-ops/sensors/kettle/readings?resolution=raw")) == 3 })
	var values []any
	for _, r := range s.ana.items("plant-ops/sensors/kettle/readings?resolution=raw") {
		values = append(values, r["value"])
	}
	if fmt.Sprint(values) != "[85 95 84]" {
		s.t.Errorf("readings %v", values)
	}
	s.in.until("each of the equal readings is there", func() bool { return len(s.ana.items("plant-ops/sensors/pot/readings?resolution=raw")) == still })
	s.in.until("the counts are in the OEE", func() bool {
		total := 0.0
		for _, o := range s.ana.items("plant-ops/lines/jam-1/oee") {
			parts, _ := o["parts"].(map[string]any)
			n, _ := parts["total"].(float64)
			total += n
		}
		return total == 6
	})
	s.in.until("the limit raises an alarm", func() bool {
		alarms := s.ana.items("plant-ops/alarms?sensor=kettle")
		if len(alarms) == 1 {
			s.ids["alarms"], _ = alarms[0]["id"].(string)
		}
		return len(alarms) == 1
	})
	s.in.until("the key's use is noted", func() bool {
		return s.ana.want("200", "GET", s.in.API+"/api/v1/api-keys/"+s.ids["api-keys"], "")["last_used_at"] != nil
	})
}

// events holds the event store against Kafka, event by event.
func (s *story) events() {
	want := strings.Fields("TenantCreated CalendarCreated ProductCreated LineCreated StopReasonCreated SensorCreated UserCreated APIKeyCreated BatchCreated BatchStarted BatchCompleted LineDowntime ScrapDetected AlarmRaised")
	var missing []string
	stored := map[string]string{}
	s.in.until("the same events in the store and on Kafka", func() bool {
		for _, e := range s.ana.items("events?limit=1000") {
			id, _ := e["id"].(string)
			stored[id], _ = e["type"].(string)
		}
		have := slices.Collect(maps.Values(stored))
		missing = slices.DeleteFunc(slices.Clone(want), func(w string) bool { return slices.Contains(have, w) })
		return len(missing) == 0 && maps.Equal(stored, s.in.onKafka(s.ana.id))
	})
	s.t.Logf("%d events, the same in the store and on Kafka", len(stored))
}
