package main_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// hear listens to the live stream of alarms and gives the types of its events.
func (c *caller) hear() <-chan string {
	c.in.t.Helper()
	req, err := http.NewRequestWithContext(c.in.t.Context(), http.MethodGet, c.in.API+"/api/v1/plant-ops/stream?kinds=alarm", nil)
	if err != nil {
		c.in.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.in.t.Fatal(err)
	}
	c.in.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		c.in.t.Fatalf("the stream answers %d", resp.StatusCode)
	}
	out, open := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(out)
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
			if s.Text() == "event: hello" {
				close(open)
			}
			if _, rest, ok := strings.Cut(s.Text(), `"type":"`); ok {
				name, _, _ := strings.Cut(rest, `"`)
				out <- name
			}
		}
	}()
	<-open
	return out
}

// TestAlarmsAndStopsThroughTheWholeProgram passes a limit and keeps it again,
// hears of it live and acknowledges it; and takes a line through a stop whose
// time its stops and its ledger agree on, as ClickHouse has them.
func TestAlarmsAndStopsThroughTheWholeProgram(t *testing.T) {
	in := install(t)
	in.start()
	c := in.login(in.Email, in.Password)
	ops := in.API + "/api/v1/plant-ops/"
	line := c.do("POST", ops+"lines", map[string]any{"key": "jam-1", "name": "Jam 1", "time_zone": "Europe/Madrid", "unit": "jar"}, 201)
	c.do("POST", ops+"sensors", map[string]any{"key": "kettle", "name": "Kettle", "unit": "degC", "kind": "temperature", "line_id": line["id"], "h": 90}, 201)
	heard := c.hear()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if got != want {
				t.Fatalf("heard %s, want %s", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("never heard %s", want)
		}
	}
	now := time.Now().UTC().Truncate(time.Minute)
	gateway := &caller{in: in, key: in.APIKey}
	in.until("ingest knows the sensor", func() bool { return gateway.sends("kettle", now.Add(-22*time.Minute), 80) == http.StatusAccepted })
	in.everybodyKnows()
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339Nano) }
	send := func(d time.Duration, v float64) {
		t.Helper()
		c.do("POST", ops+"sensors/kettle/readings", map[string]any{"ts": at(d), "value": v}, 202)
	}
	send(-21*time.Minute, 80)
	send(-20*time.Minute, 95)
	expect("AlarmRaised")
	send(-19*time.Minute, 85)
	expect("AlarmCleared")
	alarms, _ := c.do("GET", ops+"alarms?state=cleared&sensor=kettle", nil, 200)["items"].([]any)
	if len(alarms) != 1 {
		t.Fatalf("alarms %v", alarms)
	}
	one, _ := alarms[0].(map[string]any)
	c.do("POST", ops+"alarms/"+one["id"].(string)+"/acknowledge", map[string]any{"comment": "seen"}, 200)
	expect("AlarmAcknowledged")

	state := func(d time.Duration, s, reason string) {
		t.Helper()
		c.do("POST", ops+"lines/jam-1/status", map[string]any{"ts": at(d), "state": s, "reason": reason}, 202)
	}
	state(-18*time.Minute, "EXECUTE", "")
	state(-17*time.Minute+1234*time.Millisecond, "HELD", "filler-jam")
	state(-16*time.Minute+777*time.Millisecond, "EXECUTE", "")
	state(-12*time.Minute, "LACK", "no jars")
	state(-11*time.Minute+5*time.Millisecond, "EXECUTE", "")
	state(0, "EXECUTE", "")
	span := fmt.Sprintf("from=%d&to=%d", now.Add(-18*time.Minute).UnixMilli(), now.Add(-5*time.Minute).UnixMilli())
	var classes map[string]any
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		items, _ := c.do("GET", ops+"lines/jam-1/ledger?"+span, nil, 200)["items"].([]any)
		if len(items) == 1 {
			item, _ := items[0].(map[string]any)
			if classes, _ = item["classes_ms"].(map[string]any); item["known_ms"] == item["span_ms"] {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the ledger never closes: %v", items)
		}
	}
	sum := map[string]float64{"running": classes["running"].(float64)}
	jam := ""
	stops, _ := c.do("GET", ops+"lines/jam-1/downtime?"+span, nil, 200)["items"].([]any)
	for _, x := range stops {
		s, _ := x.(map[string]any)
		sum[s["class"].(string)] += s["duration_ms"].(float64)
		if s["reason"] == "filler-jam" {
			jam = fmt.Sprint(s["class"], " ", s["from"], " ", s["duration_ms"])
		}
	}
	for class, ms := range classes {
		if sum[class] != ms {
			t.Errorf("%v ms of %s in stops, %v in the ledger", sum[class], class, ms)
		}
	}
	if want := "minor_stop " + now.Add(-17*time.Minute+1234*time.Millisecond).Format("2006-01-02T15:04:05.000Z") + " 59543"; jam != want {
		t.Errorf("the jam is %q, want %q", jam, want)
	}
	in.stop()
}
