package annunciator

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foodflow/foodflow/internal/alarm"
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

var tenant, line, sensor = plant.NameID(plant.ID{}, "t"), plant.NameID(plant.ID{}, "l"), plant.NameID(plant.ID{}, "s")

// memory keeps alarms by the real state machine; the fails-th call finds
// Postgres away once.
type memory struct {
	alarms map[string]*alarm.Alarm
	at     int64

	received int64
	on       bool
	calls    int
	words    int
	fails    int
	log      []string
}

func (m *memory) away() error {
	m.calls++
	if m.calls == m.fails {
		return fault.NewUnavailable(time.Second, nil, "away")
	}
	return nil
}

// Hear takes words until one finds Postgres away, and then keeps none of them.
func (m *memory) Hear(_ context.Context, _ plant.ID, words []masterdata.Word) (h masterdata.Heard, err error) {
	if err := m.away(); err != nil {
		return h, err
	}
	h.Suppressed = map[plant.ID]bool{}
	m.words += len(words)
	for _, w := range words {
		var names []string
		if w.State != nil {
			names = m.suppress(w.State)
			h.Suppressed[w.State.Line] = m.on
		} else if names, err = m.signal(w.Signal); err != nil {
			h.Refused = append(h.Refused, err)
		}
		h.Names = append(h.Names, names...)
	}
	return h, nil
}

func (m *memory) signal(g *masterdata.Signal) ([]string, error) {
	if g.Sensor != sensor {
		return nil, fault.NewInvalid(fault.Item{Location: "sensor_id", Rule: "unknown"})
	}
	a := m.alarms[g.Kind.String()]
	if a == nil {
		n := alarm.New()
		n.Suppressed = m.on
		a = &n
		m.alarms[g.Kind.String()] = a
	}
	in := alarm.Input{Action: alarm.Raise, At: g.At, Since: g.Since, Place: g.Place, Epoch: g.Epoch}
	if g.Ended {
		in.Action = alarm.Clear
	}
	names, err := a.Apply(in, 0)
	m.note(g.Kind.String(), names)
	return names, err
}

func (m *memory) suppress(l *masterdata.LineState) (all []string) {
	if l.At > m.at {
		m.at, m.received, m.on = l.At, l.Received, l.On
	}
	in := alarm.Input{Action: alarm.Unsuppress}
	if m.on {
		in.Action = alarm.Suppress
	}
	for k, a := range m.alarms {
		names, _ := a.Apply(in, 0)
		m.note(k, names)
		all = append(all, names...)
	}
	return all
}

func (m *memory) note(kind string, names []string) {
	for _, n := range names {
		m.log = append(m.log, kind+" "+strings.TrimPrefix(n, "Alarm"))
	}
}

// known is a directory with the tenant.
func known(t *testing.T) *directory.Store {
	t.Helper()
	return directorytest.Of(t, directory.Tenant{ID: tenant, Key: "t"})
}

func fixture(t *testing.T) (*Annunciator, *memory, *schemas.Codec) {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{alarms: map[string]*alarm.Alarm{}}
	return New(m, codec, known(t), nil, slog.New(slog.DiscardHandler)), m, codec
}

// state is the record of a line that enters a state.
func state(c *schemas.Codec, s plant.State, ts int64) broker.Record {
	e := plant.LineEvent{Tenant: tenant, Line: line, TS: ts, Type: plant.EventState, State: s, Seq: plant.NoSeq}
	e.ID = plant.EventID(&e)
	return broker.Record{Topic: broker.TopicLineEvents, TS: ts, Value: c.AppendLineEvent(nil, &e)}
}

// story is what the topics hold: a limit passed and kept again, a deviation
// (which is no alarm), a cleaning with a limit passed in it, an old state that
// comes late, rubbish, a sensor and a tenant that aren't there.
func story(t *testing.T, c *schemas.Codec) (out []broker.Record) {
	t.Helper()
	finding := func(who, of plant.ID, k plant.AnomalyKind, ts int64, ended bool) {
		v, err := c.AppendAnomaly(nil, &plant.Anomaly{ID: plant.NewID(), Tenant: who, Line: line, Sensor: of, Kind: k, TS: ts, Since: ts - 1, Ended: ended})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, broker.Record{Topic: broker.TopicAnomalies, Value: v})
	}
	enters := func(s plant.State, ts int64) { out = append(out, state(c, s, ts)) }
	enters(plant.StateExecute, 1000)
	finding(tenant, sensor, plant.AnomalyLimitHH, 2000, false)
	finding(tenant, sensor, plant.AnomalyDeviation, 2100, false)
	finding(tenant, sensor, plant.AnomalyLimitHH, 3000, true)
	enters(plant.StateCIP, 4000)
	enters(plant.StateExecute, 3900)
	enters(plant.StateAllergenClean, 4500)
	finding(tenant, sensor, plant.AnomalyRange, 5000, false)
	finding(tenant, plant.NameID(plant.ID{}, "gone"), plant.AnomalyLimitH, 5000, false)
	finding(plant.NameID(plant.ID{}, "gone"), sensor, plant.AnomalyLimitH, 5000, false)
	enters(plant.StateExecute, 6000)
	return append(out, broker.Record{Topic: broker.TopicAnomalies, Value: []byte("rubbish")})
}

const told = "limit_hh Raised; limit_hh Cleared; limit_hh Suppressed; range Raised; Unsuppressed twice"

func (m *memory) story() string {
	if n := len(m.log); n == 6 && strings.HasSuffix(m.log[4], "Unsuppressed") && strings.HasSuffix(m.log[5], "Unsuppressed") {
		return strings.Join(m.log[:4], "; ") + "; Unsuppressed twice" // in any order
	}
	return strings.Join(m.log, "; ")
}

func TestStory(t *testing.T) {
	a, m, c := fixture(t)
	if err := a.Handle(t.Context(), story(t, c)); err != nil {
		t.Fatal(err)
	}
	if m.story() != told {
		t.Errorf("told %s", m.story())
	}
	for name, want := range map[string]float64{"AlarmRaised": 2, "AlarmCleared": 1, "AlarmSuppressed": 1, "AlarmUnsuppressed": 2, "AlarmUnshelved": 0} {
		if got := testutil.ToFloat64(a.Done.WithLabelValues(name)); got != want {
			t.Errorf("%s counted %v times, want %v", name, got, want)
		}
	}
	for reason, want := range map[string]float64{"unreadable": 1, "tenant": 1, "refused": 1} {
		if got := testutil.ToFloat64(a.Skipped.WithLabelValues(reason)); got != want {
			t.Errorf("skipped as %s %v times, want %v", reason, got, want)
		}
	}
	// Another process reads the same stretch again: what it says is old.
	b := New(m, c, known(t), nil, slog.New(slog.DiscardHandler))
	before := len(m.log)
	if err := b.Handle(t.Context(), story(t, c)); err != nil {
		t.Fatal(err)
	}
	if len(m.log) != before {
		t.Errorf("again: %v", m.log[before:])
	}
}

// TestEveryCallMayFail lets the n-th call fail, for every n, with the records in
// polls of two: they come again and the alarms have gone the same way.
func TestEveryCallMayFail(t *testing.T) {
	for n := 1; n <= 5; n++ {
		a, m, c := fixture(t)
		m.fails = n
		failed := 0
		for poll := range slices.Chunk(story(t, c), 2) {
			for a.Handle(t.Context(), poll) != nil {
				failed++
			}
		}
		if m.story() != told || failed != 1 {
			t.Errorf("call %d failing %d times: %s", n, failed, m.story())
		}
	}
}

// TestOneCallAPoll: what a poll says of a tenant is one call, and a state that was
// told is not told again, though within a poll it counts what came before.
func TestOneCallAPoll(t *testing.T) {
	a, m, c := fixture(t)
	polls := [][]broker.Record{
		story(t, c),
		{state(c, plant.StateExecute, 7000), state(c, plant.StateLack, 7100)},
		{state(c, plant.StateExecute, 8000), state(c, plant.StateCIP, 8100), state(c, plant.StateExecute, 8200)},
	}
	for i, want := range []struct{ calls, words int }{{1, 9}, {1, 9}, {2, 11}} {
		if err := a.Handle(t.Context(), polls[i]); err != nil {
			t.Fatal(err)
		}
		if m.calls != want.calls || m.words != want.words || m.on {
			t.Errorf("poll %d: %d calls and %d words, want %+v; suppressed %v", i, m.calls, m.words, want, m.on)
		}
	}
}

// TestReadsTheTopics goes through a broker, with Postgres away at first.
func TestReadsTheTopics(t *testing.T) {
	a, m, c := fixture(t)
	m.fails = 1
	brokertest.Through(t, Group, Topics(), line[:], story(t, c), a.Handle)
	// The topics come side by side, so the order between them is open; what
	// holds in the end is not.
	got := ""
	for _, k := range []string{"limit_hh", "range"} {
		if x := m.alarms[k]; x != nil {
			got += fmt.Sprintf("%s %s %d; ", k, x.State(), x.Occurrences)
		}
	}
	if got != "limit_hh cleared 1; range active 1; " {
		t.Error(got)
	}
}
