package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/feed"
	"github.com/foodflow/foodflow/internal/plant"
)

const origin0 = int64(1_767_225_600_000) // 2026-01-01T00:00Z

// memory takes what is sent and fails when told to.
type memory struct {
	readings []feed.Reading
	events   []feed.Event
	calls    int
	failAt   int // the call that fails after it was taken, as a lost answer; 0: none
}

var errCut = errors.New("cut")

func (m *memory) call() error {
	m.calls++
	if m.calls == m.failAt {
		return errCut
	}
	return nil
}

func (m *memory) Readings(_ context.Context, r []feed.Reading) error {
	m.readings = append(m.readings, r...)
	return m.call()
}

func (m *memory) Events(_ context.Context, e []feed.Event) error {
	m.events = append(m.events, e...)
	return m.call()
}

// distinct gives what was sent without copies, in order of what identifies it.
func (m *memory) distinct(t testing.TB) (readings []feed.Reading, events []feed.Event) {
	t.Helper()
	byReading := map[string]feed.Reading{}
	for _, r := range m.readings {
		key := fmt.Sprintf("%s %d", r.Sensor, r.Seq)
		if old, ok := byReading[key]; ok && old != r {
			t.Fatalf("%s was sent as %v and as %v", key, old, r)
		}
		byReading[key] = r
	}
	for _, r := range byReading {
		readings = append(readings, r)
	}
	sort.Slice(readings, func(i, j int) bool {
		a, b := readings[i], readings[j]
		return a.Sensor < b.Sensor || a.Sensor == b.Sensor && a.Seq < b.Seq
	})
	byEvent := map[plant.ID]feed.Event{}
	for _, e := range m.events {
		if old, ok := byEvent[e.ID]; ok && old != e {
			t.Fatalf("%s was sent as %v and as %v", e.ID, old, e)
		}
		byEvent[e.ID] = e
	}
	for _, e := range byEvent {
		events = append(events, e)
	}
	sort.Slice(events, func(i, j int) bool { return events[i].ID.String() < events[j].ID.String() })
	return readings, events
}

func config(t testing.TB, length time.Duration) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Truth = filepath.Join(t.TempDir(), "truth.jsonl")
	cfg.Backfill, cfg.Until = length, origin0+length.Milliseconds()
	return cfg
}

// few checks a property n times; each time plays many minutes.
func few(t *testing.T, n int, property func(*rapid.T)) {
	t.Helper()
	good, failed := 0, false
	rapid.Check(t, func(rt *rapid.T) {
		if good >= n && !failed {
			return
		}
		defer func() { failed = failed || rt.Failed() }()
		property(rt)
		good++
	})
}

// at is a clock that stands.
func at(ms int64) func() time.Time { return func() time.Time { return time.UnixMilli(ms) } }

func run(t testing.TB, cfg Config, to Sender) error {
	t.Helper()
	s, err := New(cfg, Deps{Sender: to, Plant: demo.Describe(), Logger: slog.New(slog.DiscardHandler), Now: at(cfg.Until)})
	if err != nil {
		t.Fatal(err)
	}
	return s.Run(t.Context())
}

// lines gives the journal's records but marks, sorted: steps of another length
// write the same in another order.
func lines(t testing.TB, path string) []string {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range bytes.SplitSeq(bytes.TrimSpace(body), []byte("\n")) {
		if !bytes.HasPrefix(line, []byte(`{"t":"mark"`)) {
			out = append(out, string(line))
		}
	}
	sort.Strings(out)
	return out
}

// A seed gives the same plant in steps of any length; another seed another one.
func TestStepsDoNotMatter(t *testing.T) {
	p := demo.Describe()
	const length = 30 * minuteMS
	play := func(seed uint64, step func() int64) (*memory, []string) {
		m := newModel(&p, seed, origin0, 2*time.Minute)
		out, records := &memory{}, []string{}
		for m.until < origin0+length {
			b := m.advance(min(m.until+step(), origin0+length))
			out.readings, out.events = append(out.readings, b.readings...), append(out.events, b.events...)
			for _, r := range b.records {
				line, err := json.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				records = append(records, string(line))
			}
		}
		sort.Strings(records)
		return out, records
	}
	few(t, 4, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		whole, records := play(seed, func() int64 { return length })
		parts, others := play(seed, func() int64 { return rapid.Int64Range(1, 20*minuteMS).Draw(rt, "step") })
		wr, we := whole.distinct(t)
		pr, pe := parts.distinct(t)
		if !slices.Equal(wr, pr) || !slices.Equal(we, pe) {
			rt.Fatal("other readings or events in other steps")
		}
		if !slices.Equal(records, others) {
			rt.Fatalf("another truth in other steps: %d and %d records", len(records), len(others))
		}
		if other, _ := play(seed+1, func() int64 { return length }); slices.Equal(other.readings, whole.readings) {
			rt.Fatal("another seed gives the same readings")
		}
	})
}

// Figures cover each minute to the millisecond, counts are whole and no more
// than the line can make, and values lie within the instrument's range.
func TestTheTruthIsPlausible(t *testing.T) {
	p := demo.Describe()
	states, kinds, sensors := map[plant.State]bool{}, map[Kind]bool{}, map[string]*demo.Sensor{}
	for i := range p.Lines {
		for j := range p.Lines[i].Sensors {
			sensors[p.Lines[i].Sensors[j].Key] = &p.Lines[i].Sensors[j]
		}
	}
	play := func(rt interface{ Fatalf(string, ...any) }, seed uint64) {
		m := newModel(&p, seed, origin0, 2*time.Minute)
		time, busy := map[cell]int64{}, 0.0
		for range 180 {
			b := m.advance(m.until + minuteMS)
			for _, r := range b.records {
				switch r.T {
				case kindOEE:
					for _, ms := range r.OEE.TimeMS {
						time[cell{r.Line, r.Minute}] += ms
					}
					busy += r.OEE.Good
					if r.OEE.Total != r.OEE.Good+r.OEE.Scrap || r.OEE.RunMS > r.OEE.BusyMS {
						rt.Fatalf("%+v", r.OEE)
					}
				case kindPlanted:
					kinds[r.Kind] = true
				}
			}
			for _, e := range b.events {
				states[e.State] = true
			}
			for _, r := range b.readings {
				s := sensors[r.Sensor]
				if r.Value < *s.RangeMin || r.Value > *s.RangeMax {
					rt.Fatalf("%s: %v", r.Sensor, r.Value)
				}
			}
		}
		for c, ms := range time {
			if ms != minuteMS {
				rt.Fatalf("%v has %d ms", c, ms)
			}
		}
		if len(time) < 2*100 || busy < 1000 {
			rt.Fatalf("%d minutes settled, %v units", len(time), busy)
		}
	}
	// What must come up comes up with these seeds; any one may do without some of
	// it for three hours.
	for seed := range uint64(4) {
		play(t, seed)
	}
	for _, s := range []plant.State{plant.StateExecute, plant.StateHeld, plant.StateAborted, plant.StateLack, plant.StateTailback, plant.StateCIP, plant.StateChangeover, plant.StateAllergenClean, plant.StateSuspended} {
		if !states[s] {
			t.Errorf("no line was ever in %s", s)
		}
	}
	if len(kinds) != 7 {
		t.Errorf("planted only %v", kinds)
	}
	few(t, 2, func(rt *rapid.T) { play(rt, rapid.Uint64().Draw(rt, "seed")) })
}

// Cut off at any call, and with the journal cut at any byte behind its last
// mark, the simulator goes on so that all in all the same was sent and written.
func TestGoesOnAfterACrash(t *testing.T) {
	const length = 4 * time.Minute
	cfg := config(t, length)
	whole := &memory{}
	if err := run(t, cfg, whole); err != nil {
		t.Fatal(err)
	}
	wantReadings, wantEvents := whole.distinct(t)
	want := lines(t, cfg.Truth)
	few(t, 10, func(rt *rapid.T) {
		cfg := config(t, length)
		out := &memory{}
		for range 3 {
			out.failAt = out.calls + rapid.IntRange(1, 40).Draw(rt, "call")
			if err := run(t, cfg, out); err != nil && !errors.Is(err, errCut) {
				rt.Fatal(err)
			}
			tail := rapid.SampledFrom([]string{"", "{", `{"t":"readings","sensor":"x","minute":1}` + "\n", `{"t":"mark","unt`, "\x00\x00"}).Draw(rt, "torn")
			f, err := os.OpenFile(cfg.Truth, os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				rt.Fatal(err)
			}
			if _, err := f.WriteString(tail); err != nil {
				rt.Fatal(err)
			}
			f.Close()
		}
		out.failAt = 0
		if err := run(t, cfg, out); err != nil {
			rt.Fatal(err)
		}
		readings, events := out.distinct(t)
		if !slices.Equal(readings, wantReadings) || !slices.Equal(events, wantEvents) {
			rt.Fatal("not the same readings and events")
		}
		if got := lines(t, cfg.Truth); !slices.Equal(got, want) {
			rt.Fatalf("not the same truth: %d and %d records", len(got), len(want))
		}
	})
}

// After a pause longer than CatchUp a run of its own begins, behind the first.
func TestALongPauseBeginsAnotherRun(t *testing.T) {
	cfg := config(t, 5*time.Minute)
	if err := run(t, cfg, &memory{}); err != nil {
		t.Fatal(err)
	}
	first := cfg.Until
	cfg.Until += 3 * time.Hour.Milliseconds()
	if err := run(t, cfg, &memory{}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(cfg.Truth)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	runs, err := ReadTruth(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(runs) != 2 || runs[0].Until != first || runs[1].Origin != cfg.Until-5*minuteMS || runs[1].Until != cfg.Until || runs[1].Readings == 0 {
		t.Errorf("runs %+v", runs)
	}
}

// Copies are sent, and are none of the truth's.
func TestCopiesAreSentOnPurpose(t *testing.T) {
	cfg := config(t, 3*time.Minute)
	cfg.Copies = 1
	out := &memory{}
	if err := run(t, cfg, out); err != nil {
		t.Fatal(err)
	}
	readings, events := out.distinct(t)
	if len(out.readings) != 2*len(readings) || len(out.events) != 2*len(events) {
		t.Errorf("%d readings sent of %d, %d events of %d", len(out.readings), len(readings), len(out.events), len(events))
	}
	f, err := os.Open(cfg.Truth)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	runs, err := ReadTruth(f)
	if err != nil || runs[0].Readings != int64(len(readings)) || runs[0].Events != int64(len(events)) {
		t.Errorf("the journal counts %+v, %v", runs, err)
	}
}

func TestJournalRefusesWhatIsTornInTheMiddle(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		ok   bool
	}{
		"good":           {"{\"t\":\"run\",\"origin\":1}\n{\"t\":\"mark\",\"until\":2}\n", true},
		"torn end":       {"{\"t\":\"run\",\"origin\":1}\n{\"t\":\"mark\",\"until\":2}\n{\"t\":", true},
		"torn middle":    {"{\"t\":\"run\",\"origin\":1}\n{\"t\":\n{\"t\":\"mark\",\"until\":2}\n", false},
		"mark alone":     {"{\"t\":\"mark\",\"until\":2}\n", false},
		"empty":          {"", false},
		"no mark so far": {"{\"t\":\"run\",\"origin\":1}\n", false},
	} {
		if _, err := ReadTruth(bytes.NewReader([]byte(c.body))); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	err := Config{Backfill: -1, CatchUp: -1, Copies: 2}.Validate()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 6 {
		t.Errorf("%v", err)
	}
	if err := config(t, time.Minute).Validate(); err != nil {
		t.Error(err)
	}
}

// FuzzReadTruth: no journal brings the reader down.
func FuzzReadTruth(f *testing.F) {
	f.Add([]byte("{\"t\":\"run\",\"origin\":1}\n{\"t\":\"mark\",\"until\":2}\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		runs, err := ReadTruth(io.LimitReader(bytes.NewReader(body), 1<<20))
		if err == nil && len(runs) == 0 {
			t.Error("no run and no error")
		}
	})
}
