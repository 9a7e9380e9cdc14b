package anomaly

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/plant"
)

func series(seed uint64, n int, at func(i int, noise float64) float64) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]float64, n)
	for i := range out {
		out[i] = at(i, r.NormFloat64())
	}
	return out
}

func run(d *Detector, cfg *Config, xs []float64, from int) (scores []float32, found [][]Finding) {
	var f Findings
	for i, x := range xs {
		scores = append(scores, d.Observe(cfg, int64(from+i)*1000, int64(from+i)*1000, x, plant.QualityGood, &f))
		found = append(found, append([]Finding(nil), f.All()...))
	}
	return scores, found
}

func TestSpikesAreFoundAndNoiseIsNot(t *testing.T) {
	for name, scale := range map[string]float64{"small unit": 1e-3, "large unit": 1e4} {
		t.Run(name, func(t *testing.T) {
			xs := series(7, 5000, func(i int, e float64) float64 {
				v := 20 + e
				if i == 3000 {
					v += 25
				}
				return v * scale
			})
			var d Detector
			cfg := DefaultConfig()
			scores, found := run(&d, &cfg, xs, 0)
			false1 := 0
			for i, f := range found {
				if len(f) > 0 && i != 3000 {
					false1++
				}
			}
			if len(found[3000]) != 1 || found[3000][0].Kind != plant.AnomalyDeviation || false1 > 2 {
				t.Fatalf("spike %v (score %v), %d false findings in 5000", found[3000], scores[3000], false1)
			}
		})
	}
}

// TestOneScale: sensors with Gaussian noise and with heavy tails pass the same
// threshold about equally often.
func TestOneScale(t *testing.T) {
	share := func(xs []float64) float64 {
		var d Detector
		cfg := DefaultConfig()
		scores, _ := run(&d, &cfg, xs, 0)
		n := 0
		for _, s := range scores[1000:] {
			if s > 0.4 {
				n++
			}
		}
		return float64(n) / float64(len(scores)-1000)
	}
	normal := share(series(1, 50_000, func(_ int, e float64) float64 { return e }))
	heavy := share(series(1, 50_000, func(_ int, e float64) float64 { return math.Copysign(math.Exp(2*math.Abs(e)), e) }))
	t.Logf("share of readings past 0.4: normal %.5f, heavy-tailed %.5f", normal, heavy)
	if ratio := heavy / normal; ratio > 5 || ratio < 0.2 {
		t.Fatalf("the same score means different things: normal %.5f, heavy-tailed %.5f", normal, heavy)
	}
}

func TestPrefixStabilityAndState(t *testing.T) {
	xs := series(3, 1500, func(i int, e float64) float64 { return math.Sin(float64(i)/50) + e/10 })
	cfg := DefaultConfig()
	cfg.H, cfg.OnDelayMS = 0.9, 3000
	var whole Detector
	want, _ := run(&whole, &cfg, xs, 0)
	rapid.Check(t, func(t *rapid.T) {
		cut := rapid.IntRange(0, len(xs)).Draw(t, "cut")
		var a, b Detector
		head, _ := run(&a, &cfg, xs[:cut], 0)
		rest, err := b.RestoreState(append(a.AppendState(nil), 9))
		if err != nil || len(rest) != 1 || a != b {
			t.Fatalf("restoring: %v\n%+v\n%+v", err, a, b)
		}
		tail, _ := run(&b, &cfg, xs[cut:], cut)
		if got := append(head, tail...); !reflect.DeepEqual(got, want) {
			t.Fatal("scores differ after a restart")
		}
		if b != whole {
			t.Fatal("state differs after a restart")
		}
	})
}

func TestLimits(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Learned = false
	cfg.H, cfg.HH, cfg.Deadband, cfg.OnDelayMS, cfg.OffDelayMS = 80, 90, 2, 2000, 1000
	cfg.RangeMin, cfg.RangeMax, cfg.MaxRate = 0, 150, 100
	var d Detector
	values := []float64{70, 81, 81, 81, 79, 81, 77, 77, 81, 200, 81, 81}
	_, found := run(&d, &cfg, values, 0)
	got := map[int]string{}
	for i, fs := range found {
		for _, f := range fs {
			got[i] += f.Kind.String()
			if f.Ended {
				got[i] += " ended"
			}
		}
	}
	// 81 from second 1 is active at 3; 79 is within the deadband; 77 from second
	// 6 ends it at 7; 81 from 8 is active again at 10. 200 is out of range only
	// with the delay, which it does not last.
	want := map[int]string{3: "limit_h", 7: "limit_h ended", 10: "limit_h"}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("found %v, want %v", got, want)
	}
}

// TestALimitTakenBackEnds: what was found by a limit ends when its owner takes
// the limit back, with a finite number in its finding.
func TestALimitTakenBackEnds(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Learned, cfg.H = false, 80
	var d Detector
	if _, found := run(&d, &cfg, []float64{81}, 0); len(found[0]) != 1 {
		t.Fatalf("81 over a limit of 80: %v", found)
	}
	none := DefaultConfig()
	none.Learned = false
	var f Findings
	d.Observe(&none, 1_000_000, 1_000_000, 81, plant.QualityGood, &f)
	want := []Finding{{Kind: plant.AnomalyLimitH, Since: 1_000_000, Expected: 81, Ended: true}}
	if !reflect.DeepEqual(f.All(), want) {
		t.Fatalf("found %+v, want %+v", f.All(), want)
	}
}

// TestEveryLimitSpeaksInANewEpoch: at its first reading each limit that is set says
// what holds, once, and none that isn't; what moves (delays) goes on.
func TestEveryLimitSpeaksInANewEpoch(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Learned, cfg.L, cfg.H, cfg.HH, cfg.RangeMax, cfg.Deadband, cfg.OffDelayMS = false, 10, 80, 90, 150, 5, 3000
	var d Detector
	run(&d, &cfg, []float64{70, 85, 78, 74}, 0) // H: passed, held by the deadband, ending
	cfg.Epoch = 1
	_, found := run(&d, &cfg, []float64{74, 74, 74}, 4)
	want := [][]Finding{
		{
			{Kind: plant.AnomalyLimitL, Since: 4000, Expected: 10, Ended: true},
			{Kind: plant.AnomalyLimitH, Since: 4000, Expected: 80, Score: 1},
			{Kind: plant.AnomalyLimitHH, Since: 4000, Expected: 90, Ended: true},
			{Kind: plant.AnomalyRange, Since: 4000, Expected: 150, Ended: true},
		},
		nil,
		{{Kind: plant.AnomalyLimitH, Since: 3000, Expected: 80, Ended: true}},
	}
	if !reflect.DeepEqual(found, want) {
		t.Errorf("found %+v, want %+v", found, want)
	}
}

// TestOlderState: a state of version 1 has no epoch.
func TestOlderState(t *testing.T) {
	cfg := DefaultConfig()
	cfg.H = 80
	var d, older Detector
	run(&d, &cfg, []float64{70, 85}, 0)
	state := d.AppendState(nil)
	first := append([]byte{1}, state[1:len(state)-epochSize]...)
	if rest, err := older.RestoreState(append(first, 9)); err != nil || len(rest) != 1 || older != d {
		t.Errorf("%+v, %d bytes left, %v; want %+v", older, len(rest), err, d)
	}
}

func TestFlatline(t *testing.T) {
	xs := series(5, 2000, func(i int, e float64) float64 {
		if i >= 1000 && i < 1500 {
			return 4
		}
		return 4 + e
	})
	var d Detector
	cfg := DefaultConfig()
	_, found := run(&d, &cfg, xs, 0)
	n := 0
	for i, fs := range found {
		for _, f := range fs {
			if f.Kind == plant.AnomalyFlatline {
				n++
				if i < 1000+flatLeast-1 || i >= 1500 {
					t.Errorf("flatline at %d", i)
				}
			}
		}
	}
	if n != 1 {
		t.Fatalf("%d flatlines found, want 1", n)
	}
}

func TestBackfillAndBadQuality(t *testing.T) {
	var d Detector
	cfg := DefaultConfig()
	cfg.HH = 10
	run(&d, &cfg, series(1, 500, func(_ int, e float64) float64 { return e }), 1000)
	before := d
	var f Findings
	if s := d.Observe(&cfg, 5000, 1e9, 1e6, plant.QualityGood, &f); s != 0 || len(f.All()) != 0 || d != before {
		t.Error("an old reading was scored, found or learnt")
	}
	if s := d.Observe(&cfg, 1e9, 1e9, 1e6, plant.QualityBad, &f); s != 0 || len(f.All()) != 0 || d != before {
		t.Error("a bad reading was scored, found or learnt")
	}
}

func TestSize(t *testing.T) {
	var d Detector
	if n := int(unsafe.Sizeof(d)); n > 400 || n > d.Size() {
		t.Fatalf("%d bytes a sensor, Size says %d", n, d.Size())
	}
}

func FuzzRestoreState(f *testing.F) {
	var d Detector
	f.Add(d.AppendState(nil))
	f.Fuzz(func(_ *testing.T, b []byte) {
		var d Detector
		if _, err := d.RestoreState(b); err != nil {
			return
		}
		cfg := DefaultConfig()
		var fs Findings
		for i := range 300 {
			d.Observe(&cfg, d.lastTS+int64(i)+1, d.lastTS+int64(i)+1, float64(i), plant.QualityGood, &fs)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	b.ReportAllocs()
	ds := make([]Detector, 100_000)
	cfg := DefaultConfig()
	xs := series(1, 1<<16, func(_ int, e float64) float64 { return e })
	var f Findings
	for i := 0; b.Loop(); i++ {
		d := &ds[i%len(ds)]
		d.Observe(&cfg, d.lastTS+1000, d.lastTS+1000, xs[i%len(xs)], plant.QualityGood, &f)
	}
}

// TestFastClock: one reading comes from a clock that is nine minutes fast, which
// ingest takes; then the clock is put right. Limits go on at once, and the time
// they are passed for begins with what is true. A reading that is merely late, or
// from a buffer, stays without effect, as does a clock that is fast for good.
func TestFastClock(t *testing.T) {
	const minute, begin = int64(60_000), int64(1_795_000_000_000)
	cfg := DefaultConfig()
	cfg.HH, cfg.OnDelayMS, cfg.MaxRate = 95, 5_000, 1_000
	var d Detector
	var f Findings
	found := map[plant.AnomalyKind][]int64{}
	see := func(ts, now int64, v float64) {
		d.Observe(&cfg, ts, now, v, plant.QualityGood, &f)
		for _, x := range f.All() {
			found[x.Kind] = append(found[x.Kind], x.Since-begin)
		}
	}
	see(begin, begin, 70)
	see(begin+9*minute, begin+1000, 120) // fast, and past the limit
	for i := int64(2); i < 30; i++ {
		see(begin+i*1000, begin+i*1000, 120)
	}
	if want := []int64{2000}; !slices.Equal(found[plant.AnomalyLimitHH], want) || len(found) > 1 {
		t.Errorf("found %v, want HH since %v", found, want)
	}
	clear(found)
	before := d
	see(begin+9_000, begin+31_000, 70)    // out of order
	see(begin-5*minute, begin+32_000, 70) // from a buffer
	if d != before || len(found) > 0 {
		t.Errorf("late readings were taken for news: %v", found)
	}
	d = Detector{}
	for i := range int64(20) { // two minutes fast for good, every other out of order
		see(begin+2*minute+(i^1)*1000, begin+i*1000, 70)
	}
	if d.n != 10 {
		t.Errorf("%d of 20 readings were in order, want 10", d.n)
	}
}
