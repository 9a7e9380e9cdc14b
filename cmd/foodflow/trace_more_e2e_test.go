package main_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
)

// A message and a change, each in a trace that its sender brought.
const (
	messageTrace = "0af7651916cd43dd8448eb211c80319c"
	changeTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
)

func (o *outside) has(trace string, spans ...string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range spans {
		if !o.traces[trace][s] {
			return false
		}
	}
	return true
}

// TestTracesOfMessagesAndEvents: the trace that an MQTT 5 client brings goes on
// through Kafka to the insert, that of a change of master data through the outbox
// to its event, where a consumer finds it. No other request is sampled, so that
// other traces are few: the control is that those without a trace begin none.
func TestTracesOfMessagesAndEvents(t *testing.T) {
	o := listenOutside(t)
	in := install(t)
	in.env = []string{"FOODFLOW_OTEL_ENDPOINT=" + o.URL, "FOODFLOW_OTEL_SAMPLE=0"}
	in.start()
	admin := in.login(in.Email, in.Password)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", in.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	c := paho.NewClient(paho.ClientConfig{Conn: conn})
	if _, err := c.Connect(t.Context(), &paho.Connect{ClientID: "traced", CleanStart: true, KeepAlive: 30, UsernameFlag: true, Username: in.APIKey}); err != nil {
		t.Fatal(err)
	}
	for _, parent := range []string{"", "00-" + messageTrace + "-b7ad6b7169203331-01"} {
		p := &paho.Publish{Topic: "ff/v1/demo/" + sensors[0], QoS: 1, Payload: []byte("231.5"), Properties: &paho.PublishProperties{}}
		if parent != "" {
			p.Properties.User.Add("traceparent", parent)
		}
		if r, err := c.Publish(t.Context(), p); err != nil || r.ReasonCode != 0 {
			t.Fatal(r, err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, in.API+"/api/v1/plant-ops/sensors", strings.NewReader(`{"key":"traced","name":"Traced","unit":"degC","kind":"temperature"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+admin.token)
	req.Header.Set("traceparent", "00-"+changeTrace+"-00f067aa0ba902b7-01")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatal(resp.Status)
	}
	in.until("the message's trace reaches the insert", func() bool {
		return o.has(messageTrace, "foodflow-ingest/PUBLISH ff/v1/{tenant}/{sensor}", "foodflow-processors/process batch", "foodflow-processors/insert")
	})
	in.until("the change's trace reaches the relay", func() bool {
		return o.has(changeTrace, "foodflow-api/POST /api/v1/plant-ops/sensors", "foodflow-api/relay outbox")
	})
	if parent := in.traceOfEvent("com.foodflow.SensorCreated", changeTrace); parent == "" {
		t.Error("the event has another trace, or none")
	}
	_ = c.Disconnect(&paho.Disconnect{}) // it may be gone
	in.stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.traces) != 2 {
		t.Errorf("%d traces, want the two that were asked for: %v", len(o.traces), o.traces)
	}
}

// traceOfEvent looks for an event of a type in a trace.
func (in *installation) traceOfEvent(kind, trace string) (parent string) {
	in.t.Helper()
	cfg := broker.DefaultConfig()
	cfg.Brokers = []string{in.Kafka}
	cl, err := broker.Client(cfg, kgo.ConsumeTopics(broker.TopicEvents), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		in.t.Fatal(err)
	}
	defer cl.Close()
	for deadline := time.Now().Add(patience); parent == "" && time.Now().Before(deadline); {
		cl.PollFetches(in.t.Context()).EachRecord(func(r *kgo.Record) {
			h := map[string]string{}
			for _, x := range r.Headers {
				h[x.Key] = string(x.Value)
			}
			if h["ce_type"] == kind && strings.Contains(h["ce_traceparent"], trace) {
				parent = h["ce_traceparent"]
			}
		})
	}
	return parent
}
