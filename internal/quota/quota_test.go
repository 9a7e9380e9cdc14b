package quota

import (
	"errors"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/fault"
)

// TestNeverMoreThanTheRate: whatever comes when, what passes in any stretch of
// time is at most the burst and the rate's share, plus what one request larger
// than the bucket may owe.
func TestNeverMoreThanTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{PerSecond: rapid.Float64Range(0.5, 500).Draw(t, "rate"), Burst: rapid.Float64Range(1, 1000).Draw(t, "burst")}
		l := New[int](4)
		start := time.Unix(1_700_000_000, 0)
		type passed struct {
			at   time.Duration
			cost float64
		}
		var all []passed
		now, latest := time.Duration(0), time.Duration(math.MinInt64)
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			now += time.Duration(rapid.IntRange(-50, 2000).Draw(t, "pause")) * time.Millisecond
			latest = max(latest, now) // until then the bucket was filled
			cost := float64(rapid.IntRange(0, 1500).Draw(t, "cost"))
			r := l.Take(start.Add(now), Charge[int]{1, p, cost})
			if r.OK {
				all = append(all, passed{latest, cost})
				continue
			}
			if r.RetryAfter <= 0 {
				t.Fatalf("refused without a time to come back")
			}
			// What it promises holds.
			copied := *l.buckets[name[int]{1, ""}].Value.(*bucket[int])
			again := New[int](1)
			again.bucket(&Charge[int]{1, p, cost}, copied.at)
			*again.order.Front().Value.(*bucket[int]) = copied
			if r := again.Take(copied.at.Add(r.RetryAfter+time.Microsecond), Charge[int]{1, p, cost}); !r.OK {
				t.Fatalf("came back in time and was refused again for %v", r.RetryAfter)
			}
		}
		for i := range all {
			sum, last := 0.0, 0.0
			for _, x := range all[i:] {
				sum, last = sum+x.cost, math.Max(last, x.cost)
				if most := math.Max(p.Burst, last) + p.PerSecond*(x.at-all[i].at).Seconds() + 0.01; sum > most {
					t.Fatalf("%v passed in %v, at most %v may", sum, x.at-all[i].at, most)
				}
			}
		}
	})
}

// TestAllOrNone: a request that one policy refuses costs the other nothing.
func TestAllOrNone(t *testing.T) {
	l, now := New[string](10), time.Unix(0, 0)
	wide, narrow := Policy{"tenant", 10, 100}, Policy{"key", 1, 5}
	take := func(cost float64) Result {
		return l.Take(now, Charge[string]{"t", wide, cost}, Charge[string]{"k", narrow, cost}, Charge[string]{Who: "free", Cost: cost})
	}
	if r := take(4); !r.OK || r.Nearest.Policy.Name != "key" || len(r.Policies) != 2 {
		t.Fatalf("%+v", r)
	}
	for range 20 {
		if r := take(4); r.OK || r.Nearest.Policy.Name != "key" || r.RetryAfter != 3*time.Second {
			t.Fatalf("%+v", r)
		}
	}
	if r := l.Take(now, Charge[string]{"t", wide, 0}); r.Nearest.Remaining != 96 {
		t.Errorf("refused requests took %v from the other policy", 96-r.Nearest.Remaining)
	}
}

// TestOwed: more than the bucket holds passes when it is full, and is paid for.
func TestOwed(t *testing.T) {
	l, now := New[int](10), time.Unix(0, 0)
	p := Policy{PerSecond: 10, Burst: 50}
	if r := l.Take(now, Charge[int]{1, p, 1000}); !r.OK {
		t.Fatal("a request larger than the bucket never passes")
	}
	if r := l.Take(now.Add(94*time.Second), Charge[int]{1, p, 0}); r.OK {
		t.Error("what was owed was forgotten")
	}
	if r := l.Take(now.Add(96*time.Second), Charge[int]{1, p, 0}); !r.OK {
		t.Errorf("more was owed than taken: %+v", r)
	}
}

// TestForgetting: memory is bounded, and what is forgotten is the longest unused.
func TestForgetting(t *testing.T) {
	l, now := New[int](100), time.Unix(0, 0)
	p := Policy{PerSecond: 1, Burst: 1}
	for i := range 10_000 {
		l.Take(now, Charge[int]{i, p, 1})
		if r := l.Take(now, Charge[int]{-1, p, 1}); i > 0 && r.OK {
			t.Fatalf("a busy bucket was forgotten at %d", i)
		}
	}
	if len(l.buckets) != 100 || l.order.Len() != 100 {
		t.Errorf("%d buckets", len(l.buckets))
	}
}

// TestTogether: parallel requests get no more than the bucket has (S10).
func TestTogether(t *testing.T) {
	l, now := New[int](10), time.Unix(0, 0)
	p := Policy{PerSecond: 1, Burst: 100}
	var ok atomic.Int64
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 100 {
				if r := l.Take(now, Charge[int]{1, p, 1}); r.OK {
					ok.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if ok.Load() != 100 {
		t.Errorf("%d of 1000 passed, the bucket has 100", ok.Load())
	}
}

// TestHeader: what a client reads.
func TestHeader(t *testing.T) {
	l, now := New[string](10), time.Unix(0, 0)
	a, b := Policy{"tenant-readings", 1000, 5000}, Policy{"key-readings", 0.5, 2}
	r := l.Take(now, Charge[string]{"t", a, 1}, Charge[string]{"k", b, 1})
	h := http.Header{}
	r.WriteHeader(h)
	for k, want := range map[string]string{
		"RateLimit-Policy": `5000;w=5;name="tenant-readings", 2;w=4;name="key-readings"`,
		"RateLimit-Limit":  "2", "RateLimit-Remaining": "1", "RateLimit-Reset": "2",
	} {
		if h.Get(k) != want {
			t.Errorf("%s: %q, want %q", k, h.Get(k), want)
		}
	}
	if r.Err() != nil {
		t.Error("an error of what passed")
	}
	r = l.Take(now, Charge[string]{"k", b, 2})
	var e *fault.Error
	if !errors.As(r.Err(), &e) || e.Kind != fault.RateLimited || e.Headers().Get("Retry-After") != "2" {
		t.Errorf("%+v", e)
	}
	free := New[string](1).Take(now, Charge[string]{Who: "x", Cost: 1e9})
	h = http.Header{}
	if free.WriteHeader(h); !free.OK || len(h) != 0 {
		t.Errorf("no policy: %+v %v", free, h)
	}
}
