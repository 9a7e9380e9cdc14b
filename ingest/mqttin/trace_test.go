package mqttin

import (
	"context"
	"log/slog"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/telemetry"
	"github.com/foodflow/foodflow/schemas"
)

// nowhere takes nothing: these tests end before anything is published.
type nowhere struct{}

func (nowhere) Publish(context.Context, string, *ingest.Batch) error      { return nil }
func (nowhere) Begin(context.Context, string, *ingest.Batch, func(error)) {}

// taking gives a client's connection and a message of its tenant.
func taking(t *testing.T, tracer *telemetry.Tracer) (c *conn, l *login, at place, pk *packets.Packet) {
	t.Helper()
	tenant := plant.NameID(plant.ID{}, "acme")
	dir := directorytest.Of(t, directory.Tenant{ID: tenant, Key: "acme"}, directory.Sensor{ID: plant.NameID(tenant, "oven"), Tenant: tenant, Key: "oven"})
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	svc, err := ingest.NewService(dir, codec, nowhere{}, ingest.DefaultLimits(), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Tracer = tracer
	s, err := New(cfg, svc, nil, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	c = &conn{s: s}
	l = &login{who: directory.Principal{Tenant: tenant}, version: 5}
	pk = &packets.Packet{Payload: []byte("231.5")}
	pk.Properties.User = []packets.UserProperty{{Key: "batch", Val: "7"}}
	return c, l, place{tenant: "acme", name: "oven", kind: ingest.Readings}, pk
}

// TestTakingIsFreeWithoutTraces: with tracing off, to take a message in allocates
// what reading its payload does and no more, user properties or not.
func TestTakingIsFreeWithoutTraces(t *testing.T) {
	c, l, at, pk := taking(t, nil)
	charged := false
	take := func() {
		if err := c.take(l, at, pk, &charged); err != nil {
			t.Fatal(err)
		}
		c.collected.batches[at.kind].Undo(0) // so that the batch need not grow
	}
	take()
	b, name := c.collected.batches[at.kind], []byte("oven")
	reading := testing.AllocsPerRun(1000, func() {
		if err := b.AddMessage(at.kind, name, pk.Payload); err != nil {
			t.Fatal(err)
		}
		b.Undo(0)
	})
	if n := testing.AllocsPerRun(1000, take); n != reading || len(b.Marks()) != 0 {
		t.Errorf("a message allocates %v times, its payload %v; marks %v", n, reading, b.Marks())
	}
}

// TestMessagesOfABatchKeepTheirTraces: of three messages in one batch the second
// alone brought a trace, and the records of that one alone carry it on.
func TestMessagesOfABatchKeepTheirTraces(t *testing.T) {
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
	c, l, at, pk := taking(t, tracer)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, user := range [][]packets.UserProperty{nil, {{Key: "tracestate", Val: "a=1"}, {Key: "traceparent", Val: parent}}, nil, nil} {
		pk.Properties.User, pk.Payload = user, []byte(`[{"value":1},{"value":2}]`)
		charged := false
		if err := c.take(l, at, pk, &charged); err != nil {
			t.Fatal(err)
		}
	}
	marks := c.collected.batches[at.kind].Marks()
	if len(marks) != 2 || marks[0].At != 2 || marks[1].At != 4 || marks[1].Trace != nil || len(c.collected.spans) != 1 {
		t.Fatalf("marks %+v, %d spans", marks, len(c.collected.spans))
	}
	trace := marks[0].Trace
	if len(trace) != 2 || string(trace[0].Value[3:35]) != parent[3:35] || string(trace[1].Value) != "a=1" {
		t.Errorf("the trace goes on as %q", trace)
	}
}
