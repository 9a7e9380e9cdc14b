package oee

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/plant"
)

const t0 = int64(1_790_000_040_000) // a full minute

func state(at int64, s plant.State, reason, product string) plant.LineEvent {
	e := plant.LineEvent{TS: t0 + at, Type: plant.EventState, State: s, Reason: reason, Product: product, Seq: plant.NoSeq}
	e.ID = plant.EventID(&e)
	return e
}

func made(at int64, good, scrap float64) plant.LineEvent {
	e := plant.LineEvent{TS: t0 + at, Type: plant.EventCount, Good: good, Scrap: scrap, Unit: "bottle", Seq: plant.NoSeq}
	e.ID = plant.EventID(&e)
	return e
}

func config(rate float64) Config {
	cfg := DefaultConfig()
	cfg.Ideal = func(string, int64) float64 { return rate }
	return cfg
}

type key struct {
	minute  int64
	product string
}

// sums adds parts up as a reader of the table does.
type sums map[key]plant.OEEPart

func (s sums) add(p *plant.OEEPart) {
	k := key{p.Minute, p.Product}
	t := s[k]
	for i := range t.TimeMS {
		t.TimeMS[i] += p.TimeMS[i]
	}
	t.PlannedBusyMS += p.PlannedBusyMS
	t.RunMS += p.RunMS
	t.IdealTotalMS += p.IdealTotalMS
	t.IdealGoodMS += p.IdealGoodMS
	t.Total += p.Total
	t.Good += p.Good
	t.Scrap += p.Scrap
	s[k] = t
}

// total sums over everything; zero entries don't count.
func (s sums) total() (t plant.OEEPart) {
	all := sums{}
	for k, p := range s {
		p.Minute, p.Product = 0, k.product[:0]
		all.add(&p)
	}
	return all[key{}]
}

// nonzero drops what summed up to nothing.
func (s sums) nonzero() sums {
	out := sums{}
	for k, p := range s {
		if p != (plant.OEEPart{}) {
			out[k] = p
		}
	}
	return out
}

// play runs events through a line, advancing after each, and ends with a sign
// long enough after the last to close everything.
func play(t require, cfg *Config, events []plant.LineEvent, end int64) sums {
	var l Line
	out := sums{}
	for i := range events {
		if _, err := l.Event(&events[i]); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		l.Advance(cfg, out.add)
	}
	l.Signal(t0 + end)
	l.Advance(cfg, out.add)
	return out
}

type require interface{ Fatalf(string, ...any) }

func near(t *testing.T, what string, got Ratio, want float64) {
	t.Helper()
	if got.Value == nil || math.Abs(*got.Value-want) > 5e-5 {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// TestWorkedExampleA: shift 480 min, breaks 2 × 15, meal 30, down 47, ideal
// 60/min, total 19,271, rejects 423: A 88.81, P 86.11, Q 97.80, OEE 74.79 %.
func TestWorkedExampleA(t *testing.T) {
	const min = minuteMS
	cfg := config(60)
	cfg.SilenceMS = 1000 * min
	events := []plant.LineEvent{state(0, plant.StateExecute, "", "")}
	stop := func(at, length int64, reason string) {
		events = append(events, state(at*min, plant.StateStopped, reason, ""), state((at+length)*min, plant.StateExecute, "", ""))
	}
	stop(60, 15, "break")
	stop(110, 47, "gearbox")
	stop(240, 30, "meal")
	stop(360, 15, "break")
	events = append(events, made(100*min, 18_848, 423))
	sort.Slice(events, func(i, j int) bool { return events[i].TS < events[j].TS })
	got := play(t, &cfg, events, 480*min+LatenessMS)
	sum := got.total()
	if sum.PlannedBusyMS != 420*min || sum.RunMS != 373*min || sum.TimeMS[plant.ClassBreakdown] != 47*min {
		t.Fatalf("planned busy %d, run %d min", sum.PlannedBusyMS/min, sum.RunMS/min)
	}
	f := Compute(&sum)
	near(t, "availability", f.Availability, 0.8881)
	near(t, "performance", f.Performance, 0.86108)
	near(t, "quality", f.Quality, 0.97805)
	near(t, "OEE", f.OEE, 18_848.0/60/420)
}

// TestWorkedExampleB and the roll-up D work on parts alone.
func TestWorkedExampleBAndD(t *testing.T) {
	const min = float64(minuteMS)
	b := plant.OEEPart{PlannedBusyMS: 435 * minuteMS, RunMS: 405 * minuteMS, Total: 700, Good: 675, IdealTotalMS: 350 * min, IdealGoodMS: 337.5 * min}
	f := Compute(&b)
	near(t, "availability", f.Availability, 0.93103)
	near(t, "performance", f.Performance, 0.86420)
	near(t, "quality", f.Quality, 0.96429)
	near(t, "OEE", f.OEE, 0.77586)
	short := plant.OEEPart{PlannedBusyMS: 60 * minuteMS, RunMS: 60 * minuteMS, Total: 10, Good: 10, IdealTotalMS: 6 * min, IdealGoodMS: 6 * min}
	both := sums{}
	both.add(&b)
	both.add(&short)
	sum := both.total()
	mean := (*f.OEE.Value + 0.1) / 2
	if got := *Compute(&sum).OEE.Value; math.Abs(got-343.5/495) > 1e-12 || math.Abs(got-mean) < 0.1 {
		t.Errorf("roll-up %v, mean of percentages %v", got, mean)
	}
}

func TestDenominatorsOfZero(t *testing.T) {
	f := Compute(&plant.OEEPart{})
	for name, r := range map[string]Ratio{"availability": f.Availability, "performance": f.Performance, "quality": f.Quality, "oee": f.OEE} {
		if r.Value != nil || r.Reason == "" {
			t.Errorf("%s of nothing is %v", name, r)
		}
	}
	over := Compute(&plant.OEEPart{PlannedBusyMS: 10, RunMS: 10, Total: 1, Good: 1, IdealTotalMS: 12, IdealGoodMS: 12})
	if *over.Performance.Value != 1.2 || !reflect.DeepEqual(over.Flags, []string{"performance_over_100"}) {
		t.Errorf("performance past 100 %%: %+v", over)
	}
}

// TestMinorStopOutgrowsItsLimit: while open and short a stop is minor, once too
// long it is a breakdown from its beginning, and the parts say so by revision.
func TestMinorStopOutgrowsItsLimit(t *testing.T) {
	cfg := config(1)
	var l Line
	out, revisions := sums{}, 0
	emit := func(p *plant.OEEPart) {
		out.add(p)
		if p.Revision > 0 {
			revisions++
		}
	}
	for _, e := range []plant.LineEvent{state(0, plant.StateExecute, "", ""), state(minuteMS, plant.StateHeld, "jam", "")} {
		if _, err := l.Event(&e); err != nil {
			t.Fatal(err)
		}
	}
	class := func() (minor, breakdown int64) {
		s := out.total()
		return s.TimeMS[plant.ClassMinorStop], s.TimeMS[plant.ClassBreakdown]
	}
	for m := int64(1); m <= 5; m++ {
		l.Signal(t0 + m*minuteMS + 10_000)
		l.Advance(&cfg, emit)
	}
	if minor, breakdown := class(); minor != 4*minuteMS || breakdown != 0 || revisions != 0 {
		t.Fatalf("after five minutes: minor %d, breakdown %d, %d revisions", minor, breakdown, revisions)
	}
	l.Signal(t0 + 7*minuteMS + 10_000)
	l.Advance(&cfg, emit)
	if minor, breakdown := class(); minor != 0 || breakdown != 6*minuteMS || revisions != 4 {
		t.Fatalf("after seven minutes: minor %d, breakdown %d, %d revisions", minor, breakdown, revisions)
	}
}

func TestSilence(t *testing.T) {
	cfg := config(1)
	got := play(t, &cfg, []plant.LineEvent{state(0, plant.StateExecute, "", ""), state(10*minuteMS, plant.StateExecute, "", "")}, 11*minuteMS+LatenessMS)
	sum := got.total()
	if sum.TimeMS[plant.ClassNoSignal] != 8*minuteMS || sum.TimeMS[plant.ClassRunning] != 3*minuteMS {
		t.Fatalf("%v", sum.TimeMS)
	}
}

func TestBeyondTheHorizon(t *testing.T) {
	cfg := config(1)
	var l Line
	out := sums{}
	l.Signal(t0)
	l.Advance(&cfg, out.add)
	l.Signal(t0 + HorizonMS + 3*minuteMS)
	l.Advance(&cfg, out.add)
	l.Signal(t0 + HorizonMS + 4*minuteMS)
	e := state(0, plant.StateHeld, "", "")
	if _, err := l.Event(&e); !errors.Is(err, ErrLate) {
		t.Errorf("a state event from before the horizon: %v", err)
	}
	c := made(5000, 7, 1)
	_, err := l.Event(&c)
	l.Advance(&cfg, out.add)
	if err != nil || out[key{t0, ""}].Total != 8 {
		t.Errorf("a count from before the horizon: %v %v", err, out[key{t0, ""}])
	}
}

func drawEvents(t *rapid.T) []plant.LineEvent {
	n := rapid.IntRange(1, 40).Draw(t, "n")
	events := make([]plant.LineEvent, n)
	for i := range events {
		at := rapid.Int64Range(0, 60*minuteMS).Draw(t, "at")
		if rapid.Bool().Draw(t, "count") {
			events[i] = made(at, float64(rapid.IntRange(0, 9).Draw(t, "good")), float64(rapid.IntRange(0, 3).Draw(t, "scrap")))
			continue
		}
		events[i] = state(at, plant.State(rapid.IntRange(0, 23).Draw(t, "state")), rapid.SampledFrom([]string{"", "break", "jam"}).Draw(t, "reason"),
			rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "product"))
	}
	return events
}

// TestAnyOrderGivesTheSameSums, classes sum to the minute, copies change
// nothing, nor does it how many events are worked in at once.
func TestAnyOrderGivesTheSameSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := config(4)
		cfg.SilenceMS = rapid.Int64Range(1, 10).Draw(t, "silence") * minuteMS
		events := drawEvents(t)
		end := 75 * minuteMS
		sorted := append([]plant.LineEvent(nil), events...)
		sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].TS < sorted[j].TS })
		want := play(t, &cfg, sorted, end).nonzero()
		minutes := map[int64]int64{}
		for k, p := range want {
			for _, ms := range p.TimeMS {
				minutes[k.minute] += ms
			}
		}
		for m, ms := range minutes {
			if ms != minuteMS {
				t.Fatalf("minute %d holds %d ms", (m-t0)/minuteMS, ms)
			}
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		mixed := append(append([]plant.LineEvent(nil), events...), events[:len(events)/2]...)
		r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if got := play(t, &cfg, mixed, end).nonzero(); !equalSums(got, want) {
			t.Fatalf("another order gives other sums: %s", firstDifference(got, want))
		}
		var l Line
		got := sums{}
		for i := range mixed {
			if _, err := l.Event(&mixed[i]); err != nil {
				t.Fatal(err)
			}
			if r.IntN(8) == 0 {
				l.Advance(&cfg, got.add)
			}
		}
		l.Signal(t0 + end)
		l.Advance(&cfg, got.add)
		if got := got.nonzero(); !equalSums(got, want) {
			t.Fatalf("by batches the sums are others: %s", firstDifference(got, want))
		}
	})
}

func firstDifference(a, b sums) string {
	for _, s := range []sums{a, b} {
		for k := range s {
			if !equalSums(sums{k: a[k]}, sums{k: b[k]}) {
				return fmt.Sprintf("minute %d product %q: %v and %v", (k.minute-t0)/minuteMS, k.product, a[k].TimeMS, b[k].TimeMS)
			}
		}
	}
	return "none"
}

func equalSums(a, b sums) bool {
	if len(a) != len(b) {
		return false
	}
	for k, p := range a {
		q, ok := b[k]
		if !ok || p.TimeMS != q.TimeMS || p.Good != q.Good || p.Total != q.Total || p.RunMS != q.RunMS || math.Abs(p.IdealGoodMS-q.IdealGoodMS) > 1e-6 {
			return false
		}
	}
	return true
}

func TestStateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := config(4)
		var a, b Line
		drop := func(*plant.OEEPart) {}
		for _, e := range drawEvents(t) {
			if _, err := a.Event(&e); err != nil {
				t.Fatal(err)
			}
			a.Advance(&cfg, drop)
		}
		raw := a.AppendState(nil)
		rest, err := b.RestoreState(append(raw, 1))
		if err != nil || len(rest) != 1 || string(b.AppendState(nil)) != string(raw) {
			t.Fatalf("restoring: %v", err)
		}
	})
}

func FuzzRestoreState(f *testing.F) {
	var l Line
	cfg := config(1)
	e := state(0, plant.StateExecute, "r", "p")
	if _, err := l.Event(&e); err != nil {
		f.Fatal(err)
	}
	l.Advance(&cfg, func(*plant.OEEPart) {})
	f.Add(l.AppendState(nil))
	f.Fuzz(func(_ *testing.T, b []byte) {
		var l Line
		if _, err := l.RestoreState(b); err == nil {
			l.AppendState(nil)
		}
	})
}

func BenchmarkEvent(b *testing.B) {
	b.ReportAllocs()
	cfg := config(4)
	var l Line
	n := 0
	for i := int64(0); b.Loop(); i++ {
		e := made(i*5000, 5, 1)
		if _, err := l.Event(&e); err != nil {
			b.Fatal(err)
		}
		l.Advance(&cfg, func(*plant.OEEPart) { n++ })
	}
}
