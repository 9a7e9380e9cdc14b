package simulate_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/feed"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/simulate"
	"github.com/foodflow/foodflow/processors/oee"
)

// store puts what is sent into ClickHouse through the OEE ledger and the sink,
// in place of ingest, Kafka and the processors' job.
type store struct {
	t      *testing.T
	ch     *clickhouse.Client
	plant  demo.Plant
	ledger map[string]*oee.Line
	offset int64
	end    time.Time // the whole minute in which what was sent ends

	readings  *sink.Readings
	events    *sink.LineEvents
	parts     *sink.OEEParts
	anomalies *sink.Anomalies
}

func newStore(t *testing.T) *store {
	t.Helper()
	cfg := clickhouse.DefaultConfig()
	cfg.URL, cfg.Database = embeddedtest.Start(t), embeddedtest.Database(t)
	ch, err := clickhouse.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := ddl.Apply(t.Context(), ch, ddl.DefaultOptions(8)); err != nil {
		t.Fatal(err)
	}
	return &store{
		t: t, ch: ch, plant: demo.Describe(), ledger: map[string]*oee.Line{},
		readings: sink.NewReadings(), events: sink.NewLineEvents(), parts: sink.NewOEEParts(), anomalies: sink.NewAnomalies(),
	}
}

// of gives a line with its ledger, policy, and where its parts go.
func (s *store) of(key string) (*demo.Line, *oee.Line, *oee.Config, oee.Emit) {
	var d *demo.Line
	for i := range s.plant.Lines {
		if s.plant.Lines[i].Key == key {
			d = &s.plant.Lines[i]
		}
	}
	if s.ledger[key] == nil {
		s.ledger[key] = &oee.Line{}
	}
	cfg := oee.DefaultConfig()
	cfg.MinorStopMS, cfg.SilenceMS = d.MinorStopMS, d.SilenceTimeoutMS
	cfg.Ideal = func(product string, _ int64) float64 {
		for _, p := range d.Products {
			if p.Key == product {
				return p.PerMinute
			}
		}
		return d.IdealRate
	}
	return d, s.ledger[key], &cfg, func(p *plant.OEEPart) {
		p.Tenant, p.Line = d.Tenant, d.ID
		s.parts.Append(p, 0)
	}
}

func (s *store) take(events []feed.Event, readings []feed.Reading) {
	for _, e := range events {
		d, ledger, cfg, emit := s.of(e.Line)
		le := plant.LineEvent{
			Tenant: d.Tenant, Line: d.ID, ID: e.ID, TS: e.TS, Type: e.Type, State: e.State, Reason: e.Reason,
			Product: e.Product, Good: e.Good, Scrap: e.Scrap, Unit: e.Unit, Seq: plant.NoSeq,
		}
		fresh, err := ledger.Event(&le)
		if err != nil {
			s.t.Fatal(err)
		}
		if fresh {
			s.offset++
			s.events.Append(&le, 0, s.offset)
		}
		ledger.Advance(cfg, emit)
	}
	for _, r := range readings {
		for i := range s.plant.Lines {
			for j := range s.plant.Lines[i].Sensors {
				if d := &s.plant.Lines[i].Sensors[j]; d.Key == r.Sensor {
					s.offset++
					s.readings.Append(&plant.Reading{Tenant: d.Tenant, Line: d.Line, Sensor: d.ID, TS: r.TS, Value: r.Value, Quality: r.Quality, Seq: r.Seq}, 0, 0, s.offset)
					_, ledger, cfg, emit := s.of(s.plant.Lines[i].Key)
					ledger.Signal(r.TS)
					ledger.Advance(cfg, emit)
				}
			}
		}
	}
}

func (s *store) flush() {
	out := sink.New(s.ch, nil)
	for _, b := range []sink.Block{s.readings, s.events, s.parts, s.anomalies} {
		if b.Rows() == 0 {
			continue
		}
		if err := out.Insert(s.t.Context(), b, plant.NewID().String()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// sumUp fills the minutes, as the processors do.
func (s *store) sumUp() {
	s.exec(`INSERT INTO readings_1m (tenant_id, line_id, sensor_id, ts, count, valid, sum, min, max)
SELECT tenant_id, line_id, sensor_id, toStartOfMinute(r.ts) AS minute, count(), countIf(quality != 'bad'), sumIf(value, quality != 'bad'),
    min(if(quality = 'bad', inf, value)), max(if(quality = 'bad', -inf, value))
FROM readings AS r GROUP BY tenant_id, line_id, sensor_id, minute`)
}

func (s *store) exec(statement string) { s.ask(statement) }

// ask gives the one value that a query is about.
func (s *store) ask(query string) string {
	s.t.Helper()
	out, err := s.ch.Exec(s.t.Context(), query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// played gives a store that holds what a run sent, and the run's journal.
func played(t *testing.T) (*store, []byte) {
	t.Helper()
	s := newStore(t)
	cfg := simulate.DefaultConfig()
	cfg.Backfill, cfg.Copies, cfg.AnomalyEvery = 75*time.Minute, 0, time.Minute
	cfg.Truth = filepath.Join(t.TempDir(), "truth.jsonl")
	// A day ago, inside every table's TTL. The seed counts together with the
	// beginning: with this one the same happens whenever the test is run.
	s.end = time.Now().Add(-24 * time.Hour).Truncate(time.Minute)
	cfg.Until = s.end.UnixMilli() + 17_000
	cfg.Seed = 7 ^ uint64(s.end.Add(-cfg.Backfill).UnixMilli())
	sim, err := simulate.New(cfg, simulate.Deps{
		Sender: sender{s}, Plant: s.plant, Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.UnixMilli(cfg.Until) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.flush()
	s.sumUp()
	truth, err := os.ReadFile(cfg.Truth)
	if err != nil {
		t.Fatal(err)
	}
	return s, truth
}

func (s *store) verify(truth []byte) *simulate.Report {
	s.t.Helper()
	r, err := simulate.Verify(s.t.Context(), bytes.NewReader(truth), s.ch, simulate.Options{Plant: s.plant})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// The ledger's figures are those of the plan, and every reading is there; then
// each damage is found, where it was done.
func TestVerifyFindsEveryDamage(t *testing.T) {
	s, truth := played(t)
	r := s.verify(truth)
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if !r.OK || r.Readings.Expected < 100_000 || r.Readings.Expected != r.Readings.Found || r.Events.Expected < 500 || r.OEE.Expected < 100 || r.Anomalies.Planted < 5 || r.Anomalies.Found != 0 {
		t.Fatal(text.String())
	}
	line := demo.ID("line", demo.Bakery)
	// An hour before the end; the clock goes on between the statements.
	minute := fmt.Sprintf("toDateTime(%d, 'UTC')", s.end.Add(-time.Hour).Unix())
	// Damages stay, so each is done to a sensor of its own. What is damaged is
	// chosen first: a mutation asks a question in it anew for each part.
	row := func(sensor string) string {
		return fmt.Sprintf("FROM readings WHERE sensor_id = '%s' AND ts >= %s ORDER BY ts LIMIT 1", demo.ID("sensor", sensor), minute)
	}
	that := func(sensor string) string {
		return fmt.Sprintf("sensor_id = '%s' AND seq = %s SETTINGS mutations_sync = 2", demo.ID("sensor", sensor), s.ask("SELECT seq "+row(sensor)))
	}
	event := s.ask(fmt.Sprintf("SELECT event_id FROM line_events WHERE line_id = '%s' AND ts >= %s ORDER BY ts, event_id LIMIT 1", line, minute))
	s.fromOthers(truth, row("hall-humidity"))
	where := fmt.Sprintf("line_id = '%s' AND minute = %s", line, minute)
	for _, c := range []struct {
		name, damage, mend string
		found              func(*simulate.Report) bool
	}{
		{
			"a lost reading",
			"ALTER TABLE readings DELETE WHERE " + that("filler-pressure"), "",
			func(r *simulate.Report) bool {
				return r.Readings.Missing == 1 && r.Readings.Extra == 0 && r.Readings.Wrong == 1 && r.Minutes.Wrong == 0 && r.Doubles == 0
			},
		},
		{
			"a doubled reading", "INSERT INTO readings SELECT * " + row("core-temperature"), "",
			func(r *simulate.Report) bool {
				return r.Readings.Extra == 1 && r.Readings.Wrong == 2 && r.Minutes.Extra == 0 && r.Doubles == 1
			},
		},
		{
			"a wrong value",
			"ALTER TABLE readings UPDATE value = value + 1e-6 WHERE " + that("dough-temperature"), "",
			func(r *simulate.Report) bool {
				return r.Readings.Missing == 1 && r.Readings.Extra == 1 && r.Readings.Wrong == 3 && r.Minutes.Wrong == 0
			},
		},
		{
			"another number", "ALTER TABLE readings UPDATE seq = seq + 1 WHERE " + that("filler-weight"), "",
			func(r *simulate.Report) bool {
				return r.Readings.Missing == 2 && r.Readings.Extra == 1 && r.Readings.Wrong == 4 && r.Others == strangers+1
			},
		},
		{
			"a minute summed up twice", fmt.Sprintf("INSERT INTO readings_1m SELECT * FROM readings_1m WHERE sensor_id = '%s' AND ts = %s", demo.ID("sensor", "proofer-humidity"), minute), "",
			func(r *simulate.Report) bool { return r.Minutes.Extra > 0 && r.Minutes.Wrong == 2 },
		},
		{
			"a lost event", fmt.Sprintf("ALTER TABLE line_events DELETE WHERE event_id = '%s' SETTINGS mutations_sync = 2", event), "",
			func(r *simulate.Report) bool { return r.Events.Missing == 1 && r.Events.Wrong == 1 },
		},
		{
			"a changed part", "ALTER TABLE oee_parts UPDATE good = good + 1 WHERE " + where + " SETTINGS mutations_sync = 2",
			"ALTER TABLE oee_parts UPDATE good = good - 1 WHERE " + where + " SETTINGS mutations_sync = 2",
			func(r *simulate.Report) bool { return r.OEE.Wrong == 1 && r.OEE.Missing == 0 && r.OEE.Extra == 0 },
		},
		{
			"an extra part", "INSERT INTO oee_parts (tenant_id, line_id, minute, product, running_ms) SELECT tenant_id, line_id, minute, 'ghost', 1 FROM oee_parts WHERE " + where + " LIMIT 1",
			"ALTER TABLE oee_parts DELETE WHERE product = 'ghost' SETTINGS mutations_sync = 2",
			func(r *simulate.Report) bool { return r.OEE.Extra == 1 && r.OEE.Wrong == 1 },
		},
		{
			"a lost minute of parts", "ALTER TABLE oee_parts DELETE WHERE " + where + " SETTINGS mutations_sync = 2", "",
			func(r *simulate.Report) bool { return r.OEE.Missing >= 1 && r.OEE.Wrong == r.OEE.Missing },
		},
	} {
		s.exec(c.damage)
		r := s.verify(truth)
		if r.OK || !c.found(r) || len(r.Faults) == 0 {
			var text strings.Builder
			if err := r.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			t.Errorf("%s: %s", c.name, text.String())
		}
		if c.mend != "" {
			s.exec(c.mend)
		}
	}
}

// strangers is how many readings fromOthers stores.
const strangers = 3

// fromOthers stores what someone sends by hand to a sensor that the simulator
// drives: without a number twice at one time, and with a number of their own. It
// is told apart and does no harm, but must be in the minutes.
func (s *store) fromOthers(truth []byte, row string) {
	s.t.Helper()
	s.exec(`INSERT INTO readings (tenant_id, line_id, sensor_id, ts, value, quality, seq, _partition, _offset)
SELECT tenant_id, line_id, sensor_id, ts, 50 + i, 'good', if(i = 3, 1, -1), 9, i FROM (SELECT tenant_id, line_id, sensor_id, ts ` + row + `) ARRAY JOIN [1, 2, 3] AS i`)
	if r := s.verify(truth); r.OK || r.Others != strangers || r.Minutes.Missing != strangers || r.Minutes.Wrong != 1 || r.Readings.Extra != 0 || r.Readings.Wrong != 0 || r.Doubles != 0 {
		s.t.Errorf("what others sent is not in the minutes: %+v", r)
	}
	s.exec(`INSERT INTO readings_1m (tenant_id, line_id, sensor_id, ts, count, valid, sum, min, max)
SELECT tenant_id, line_id, sensor_id, toStartOfMinute(r.ts), 3, 3, 156, 51, 53 FROM (SELECT tenant_id, line_id, sensor_id, ts ` + row + `) AS r`)
	if r := s.verify(truth); !r.OK || r.Others != strangers {
		s.t.Errorf("what others sent is held against the simulator: %+v", r)
	}
}

// sender hands over in order of time, as the processors fold a slot.
type sender struct{ s *store }

// Readings stores readings.
func (x sender) Readings(_ context.Context, r []feed.Reading) error {
	x.s.take(nil, r)
	return nil
}

// Events stores events.
func (x sender) Events(_ context.Context, e []feed.Event) error {
	x.s.take(e, nil)
	return nil
}
