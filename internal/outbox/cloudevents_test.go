package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/extensions"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/telemetry"
	"github.com/foodflow/foodflow/schemas"
)

// kafkaMessage lets the CloudEvents SDK read a record, as the SDK's bindings to
// other Kafka clients do: the SDK decides what the headers mean.
type kafkaMessage struct {
	r       *kgo.Record
	version spec.Version
}

var specs = spec.WithPrefix("ce_")

func newKafkaMessage(r *kgo.Record) *kafkaMessage {
	m := &kafkaMessage{r: r}
	m.version = specs.Version(m.header(specs.PrefixedSpecVersionName()))
	return m
}

func (m *kafkaMessage) header(name string) string {
	for _, h := range m.r.Headers {
		if strings.EqualFold(h.Key, name) {
			return string(h.Value)
		}
	}
	return ""
}

func (m *kafkaMessage) ReadEncoding() binding.Encoding {
	if m.version == nil {
		return binding.EncodingUnknown
	}
	return binding.EncodingBinary
}

func (m *kafkaMessage) ReadStructured(context.Context, binding.StructuredWriter) error {
	return binding.ErrNotStructured
}

func (m *kafkaMessage) ReadBinary(_ context.Context, w binding.BinaryWriter) error {
	for _, h := range m.r.Headers {
		var err error
		switch name := strings.ToLower(h.Key); {
		case name == "content-type":
			err = w.SetAttribute(m.version.AttributeFromKind(spec.DataContentType), string(h.Value))
		case m.version.Attribute(name) != nil:
			err = w.SetAttribute(m.version.Attribute(name), string(h.Value))
		case strings.HasPrefix(name, "ce_"):
			err = w.SetExtension(strings.TrimPrefix(name, "ce_"), string(h.Value))
		}
		if err != nil {
			return err
		}
	}
	return w.SetData(strings.NewReader(string(m.r.Value)))
}

func (m *kafkaMessage) GetAttribute(k spec.Kind) (spec.Attribute, any) {
	a := m.version.AttributeFromKind(k)
	return a, m.header(a.PrefixedName())
}

func (m *kafkaMessage) GetExtension(name string) any { return m.header("ce_" + name) }
func (m *kafkaMessage) Finish(error) error           { return nil }

// toEvent is what a consumer written with the SDK does with a record.
func toEvent(ctx context.Context, r *kgo.Record) (*event.Event, error) {
	e, err := binding.ToEvent(ctx, newKafkaMessage(r))
	if err != nil {
		return nil, err
	}
	return e, e.Validate()
}

// TestCloudEventsSDKReadsEvents: a consumer written with the CloudEvents SDK
// reads what the relay publishes, in order an aggregate, and after a lost ack
// takes each event once by its id.
func TestCloudEventsSDKReadsEvents(t *testing.T) {
	w := newWorld(t)
	who := w.tenant("acme")
	x := &masterdata.Sensor{SensorFields: masterdata.SensorFields{Key: "oven", Name: "Oven"}}
	if err := w.store.Sensors().Create(t.Context(), who, x); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := w.store.Sensors().Update(t.Context(), who, "oven", masterdata.AnyVersion, func(x *masterdata.Sensor) error {
			x.Name = fmt.Sprint("Oven ", i)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	r := w.relay(nil, &lostAck{w.out, 1})
	if _, err := r.Carry(t.Context()); err == nil {
		t.Fatal("the ack was not lost")
	}
	if n, err := r.Carry(t.Context()); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	stored, _, err := w.store.Events(t.Context(), who.Tenant, masterdata.EventFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	cl, err := broker.Client(w.kafka, kgo.ConsumerGroup("consumer"), kgo.ConsumeTopics(broker.TopicEvents), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	copies, last := map[string]int{}, map[string]string{}
	for read := 0; read < 2*len(stored); {
		for _, rec := range cl.PollFetches(t.Context()).Records() {
			read++
			e, err := toEvent(t.Context(), rec)
			if err != nil {
				t.Fatal(err)
			}
			w.sameEvent(e, who.Tenant)
			if copies[e.ID()]++; copies[e.ID()] > 1 {
				continue // the consumer has it
			}
			if seq := fmt.Sprint(e.Extensions()["sequence"]); seq <= last[e.Subject()] {
				t.Errorf("%s: sequence %s behind %s", e.Subject(), seq, last[e.Subject()])
			} else {
				last[e.Subject()] = seq
			}
		}
	}
	for _, s := range stored {
		if copies[s.ID.String()] != 2 {
			t.Errorf("%s came %d times, want 2 copies under one id", s.Type, copies[s.ID.String()])
		}
	}
	t.Logf("events %d, copies %d, taken once each", len(stored), 2*len(stored))
}

// sameEvent holds what the SDK says against the record's own data.
func (w *world) sameEvent(e *event.Event, tenant plant.ID) {
	w.t.Helper()
	var d schemas.DomainEvent
	if err := w.codec.DecodeDomainEvent(e.Data(), &d); err != nil {
		w.t.Fatal(err)
	}
	if e.SpecVersion() != "1.0" || e.ID() != d.ID.String() || e.Type() != "com.foodflow."+d.Type || e.Source() != "/foodflow/tenants/"+tenant.String() ||
		e.Subject() != d.AggregateType+"/"+d.Aggregate.String() || e.Time().UnixMilli() != d.TS || e.DataContentType() != "application/avro" || e.Extensions()["tenantid"] != tenant.String() {
		w.t.Errorf("event %v, data %+v", e, d)
	}
}

// TestSDKRefusesWhatIsNoEvent is the control: the SDK does look.
func TestSDKRefusesWhatIsNoEvent(t *testing.T) {
	w := newWorld(t)
	w.tenant("acme")
	var rows []row
	if err := w.db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		all, err := due(ctx, tx, 100)
		rows = slices.DeleteFunc(all, func(r row) bool { return r.kind != "event" })
		return err
	}); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, missing := range []string{"ce_specversion", "ce_id", "ce_source", "ce_type"} {
		rec, err := rows[0].record(w.codec)
		if err != nil {
			t.Fatal(err)
		}
		for i, h := range rec.Headers {
			if h.Key == missing {
				rec.Headers[i].Key = "x"
			}
		}
		if _, err := toEvent(t.Context(), rec); err != nil {
			refused++
		} else {
			t.Errorf("taken without %s", missing)
		}
	}
	if refused != 4 {
		t.Errorf("refused %d of 4", refused)
	}
}

// TestEventsCarryTheTraceOfTheirChange: a consumer finds it by the SDK's own
// extension. Control: a change that nobody traces has none.
func TestEventsCarryTheTraceOfTheirChange(t *testing.T) {
	w := newWorld(t)
	who := w.tenant("acme")
	cfg := telemetry.DefaultConfig()
	cfg.Endpoint, cfg.Sample = "http://127.0.0.1:1", 0
	tracer, err := telemetry.NewTracer(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tracer.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	const parent, state = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=1"
	h := tracer.Middleware(func(*http.Request) string { return "/sensors" })(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := w.store.Sensors().Create(r.Context(), who, &masterdata.Sensor{SensorFields: masterdata.SensorFields{Key: "oven", Name: "Oven"}}); err != nil {
			t.Error(err)
		}
	}))
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/sensors", http.NoBody)
	r.Header.Set("traceparent", parent)
	r.Header.Set("tracestate", state)
	h.ServeHTTP(httptest.NewRecorder(), r)
	if n, err := w.relay(nil, w.out).Carry(t.Context()); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	cl, err := broker.Client(w.kafka, kgo.ConsumeTopics(broker.TopicEvents), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	seen := map[string]bool{}
	for !seen["com.foodflow.SensorCreated"] || !seen["com.foodflow.TenantCreated"] {
		for _, rec := range cl.PollFetches(t.Context()).Records() {
			e, err := toEvent(t.Context(), rec)
			if err != nil {
				t.Fatal(err)
			}
			seen[e.Type()] = true
			trace, has := extensions.GetDistributedTracingExtension(*e)
			if made := e.Type() == "com.foodflow.SensorCreated"; has != made {
				t.Errorf("%s: a trace: %v", e.Type(), has)
			} else if made && (trace.TraceParent[:35] != parent[:35] || trace.TraceParent[36:52] == parent[36:52] || trace.TraceState != state) {
				t.Errorf("the event's trace is %+v", trace)
			}
		}
	}
}
