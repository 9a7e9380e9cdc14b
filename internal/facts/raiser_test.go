package facts

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/broker/brokertest"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/testkit/leak"
	"github.com/foodflow/foodflow/schemas"
)

func TestMain(m *testing.M) { leak.Main(m) }

// memory is a store that keeps facts by id, as Postgres does, and fails so many
// times first.
type memory struct {
	facts map[plant.ID]masterdata.Fact
	fails int
	after int // calls before it fails
	calls int
}

func (m *memory) RaiseAll(_ context.Context, _ plant.ID, facts []masterdata.Fact) (names []string, refused []error, err error) {
	if m.after > 0 {
		m.after--
	} else if m.fails > 0 {
		m.fails--
		return nil, nil, fault.NewUnavailable(time.Second, nil, "away")
	}
	m.calls++
	for _, f := range facts {
		if _, had := m.facts[f.ID]; !had {
			names = append(names, f.Type)
		}
		m.facts[f.ID] = f
	}
	return names, nil, nil
}

func (m *memory) count(kind string) (n int) {
	for _, f := range m.facts {
		if f.Type == kind {
			n++
		}
	}
	return n
}

var tenant, line, sensor = plant.NameID(plant.ID{}, "t"), plant.NameID(plant.ID{}, "l"), plant.NameID(plant.ID{}, "s")

// known is a directory with the tenant.
func known(t *testing.T) *directory.Store {
	t.Helper()
	return directorytest.Of(t, directory.Tenant{ID: tenant, Key: "t"})
}

func fixture(t *testing.T) (*Raiser, *memory, *schemas.Codec) {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{facts: map[plant.ID]masterdata.Fact{}}
	return New(m, codec, known(t), nil, slog.New(slog.DiscardHandler)), m, codec
}

// state is the record of a line that enters a state.
func state(c *schemas.Codec, s plant.State, ts int64) broker.Record {
	e := plant.LineEvent{Tenant: tenant, Line: line, TS: ts, Type: plant.EventState, State: s, Seq: plant.NoSeq}
	e.ID = plant.EventID(&e)
	return broker.Record{Topic: broker.TopicLineEvents, Value: c.AppendLineEvent(nil, &e)}
}

// story is what the topics hold: one excursion of three readings, two minutes
// with scrap and one without, a line that goes down twice, rubbish, and a tenant
// that isn't there.
func story(t *testing.T, c *schemas.Codec) (out []broker.Record) {
	t.Helper()
	add := func(topic string, value []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, broker.Record{Topic: topic, Value: value})
	}
	for i := range int64(3) {
		v, err := c.AppendAnomaly(nil, &plant.Anomaly{ID: plant.NewID(), Tenant: tenant, Line: line, Sensor: sensor, Kind: plant.AnomalyLimitH, TS: 2000 + i, Since: 2000, Score: 1})
		add(broker.TopicAnomalies, v, err)
	}
	for i, scrap := range []float64{3, 0, 5} {
		v, err := c.AppendOEEPart(nil, &plant.OEEPart{Tenant: tenant, Line: line, Minute: int64(i) * 60_000, Product: "p", Total: 10 + scrap, Good: 10, Scrap: scrap})
		add(broker.TopicOEE, v, err)
	}
	for i, s := range []plant.State{plant.StateExecute, plant.StateHolding, plant.StateHeld, plant.StateExecute, plant.StateLack, plant.StateAborted, plant.StateAborted} {
		out = append(out, state(c, s, int64(i+1)*1000))
	}
	v, err := c.AppendAnomaly(nil, &plant.Anomaly{ID: plant.NewID(), Tenant: plant.NameID(plant.ID{}, "gone"), Sensor: sensor, TS: 2000, Since: 2000})
	add(broker.TopicAnomalies, v, err)
	add(broker.TopicOEE, []byte("rubbish"), nil)
	return out
}

func TestStory(t *testing.T) {
	r, m, c := fixture(t)
	records := story(t, c)
	for range 2 { // again: nothing is raised twice
		if err := r.Handle(t.Context(), records); err != nil {
			t.Fatal(err)
		}
	}
	for kind, want := range map[string]int{"AnomalyDetected": 1, "ScrapDetected": 2, "LineDowntime": 2} {
		if got := m.count(kind); got != want {
			t.Errorf("%d %s, want %d", got, kind, want)
		}
		if got := testutil.ToFloat64(r.Done.WithLabelValues(kind)); got != float64(want) {
			t.Errorf("%s counted %v times, want %d", kind, got, want)
		}
	}
	for reason, want := range map[string]float64{"unreadable": 2, "tenant": 2, "refused": 0} {
		if got := testutil.ToFloat64(r.Skipped.WithLabelValues(reason)); got != want {
			t.Errorf("skipped as %s %v times, want %v", reason, got, want)
		}
	}
}

// TestEveryCallMayFail lets the n-th call fail, for every n, with the records in
// polls of three: they come again and the facts are the same.
func TestEveryCallMayFail(t *testing.T) {
	for n := range 5 {
		r, m, c := fixture(t)
		m.fails, m.after = 1, n
		failed := 0
		for poll := range slices.Chunk(story(t, c), 3) {
			for r.Handle(t.Context(), poll) != nil {
				failed++
			}
		}
		if len(m.facts) != 5 || failed != 1 && n < 4 {
			t.Errorf("call %d failing: %d facts, %d failures", n, len(m.facts), failed)
		}
	}
}

// TestFlappingSensorRaisesOneFactAMinute: ten minutes of a sensor that passes its
// limit five times a second come to eleven facts, in a call a poll.
func TestFlappingSensorRaisesOneFactAMinute(t *testing.T) {
	r, m, c := fixture(t)
	var records []broker.Record
	for i := range int64(3000) {
		ts := 30_000 + i*200
		v, err := c.AppendAnomaly(nil, &plant.Anomaly{ID: plant.NewID(), Tenant: tenant, Line: line, Sensor: sensor, Kind: plant.AnomalyLimitHH, TS: ts, Since: ts})
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, broker.Record{Topic: broker.TopicAnomalies, Value: v})
	}
	for poll := range slices.Chunk(records, 1500) {
		if err := r.Handle(t.Context(), poll); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.count("AnomalyDetected"); n != 11 || m.calls != 2 {
		t.Errorf("%d facts of 11, %d calls of 2", n, m.calls)
	}
}

// TestReadsTheTopics goes through a broker, with Postgres away at first.
func TestReadsTheTopics(t *testing.T) {
	r, m, c := fixture(t)
	m.fails = 1
	brokertest.Through(t, Group, Topics(), line[:], story(t, c), r.Handle)
	if len(m.facts) != 5 {
		t.Errorf("%d facts", len(m.facts))
	}
}
