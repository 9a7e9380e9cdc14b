package intake

import (
	"math"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

func TestReadingRules(t *testing.T) {
	b, now := DefaultBounds(), int64(1_795_000_000_000)
	future, past := now+b.Future.Milliseconds(), now-b.Past.Milliseconds()
	for _, c := range []struct {
		ts    int64
		value float64
		seq   int64
		rule  string
	}{
		{now, 1, plant.NoSeq, ""},
		{future, 1, 0, ""},
		{past, 1, math.MaxInt64, ""},
		{future + 1, 1, 0, "in_future"},
		{math.MaxInt64, 1, 0, "in_future"},
		{past - 1, 1, 0, "too_old"},
		{math.MinInt64, 1, 0, "too_old"},
		{now, math.NaN(), 0, "not_finite"},
		{now, math.Inf(-1), 0, "not_finite"},
		{now, 1, -2, "range"},
		{now, -plant.MaxValue, 0, ""},
		{now, 2 * plant.MaxValue, 0, "range"},
	} {
		rule := ""
		if x := b.Reading(&plant.Reading{TS: c.ts, Value: c.value, Seq: c.seq}, now); x != nil {
			rule = x.Rule
		}
		if rule != c.rule {
			t.Errorf("%+v breaks %q", c, rule)
		}
	}
}

func TestCountRules(t *testing.T) {
	for v, rule := range map[float64]string{0: "", plant.MaxCount: "", 2 * plant.MaxCount: "range", -1: "negative", math.Inf(1): "not_finite", math.NaN(): "not_finite"} {
		got := ""
		if x := Count("good", v); x != nil {
			got = x.Rule
		}
		if got != rule {
			t.Errorf("%v breaks %q, want %q", v, got, rule)
		}
	}
}

// TestArrivalsOfAKeptMessage: the same each time, apart from each other and from
// those of another message, and what JSON tells exactly.
func TestArrivalsOfAKeptMessage(t *testing.T) {
	seen := map[int64]bool{}
	for _, message := range []string{"a", "b"} {
		id := plant.NameID(plant.ID{}, message)
		for i := range 1000 {
			n := ArrivalIn(id, i)
			if n != ArrivalIn(id, i) || n < 0 || n > 1<<53 || seen[n] {
				t.Fatalf("item %d of %s: %d", i, message, n)
			}
			seen[n] = true
		}
	}
}

// TestMeterCountsTenantAndKey: two keys of a tenant share its quota, another
// tenant has its own.
func TestMeterCountsTenantAndKey(t *testing.T) {
	now, refused := time.UnixMilli(1_795_000_000_000), 0
	q := Quotas{Tenant: directory.Quota{ItemsPerSecond: 10}, Key: directory.Quota{ItemsPerSecond: 6, BytesPerSecond: 100}, Window: time.Second}
	g := NewGauge(directory.NewStore(), q, func() time.Time { return now }, func() { refused++ })
	who := func(tenant, key string) directory.Principal {
		return directory.Principal{Tenant: plant.NameID(plant.ID{}, tenant), KeyID: plant.NameID(plant.ID{}, key)}
	}
	for i, c := range []struct {
		tenant, key  string
		bytes, items int
		ok           bool
	}{
		{"a", "k1", 10, 6, true}, {"a", "k1", 10, 1, false}, {"a", "k2", 10, 4, true}, {"a", "k3", 10, 1, false}, {"b", "k4", 10, 6, true}, {"b", "k5", 100, 1, true}, {"b", "k5", 1, 1, false},
	} {
		err := g.Meter(who(c.tenant, c.key)).Take(int64(c.bytes), c.items)
		if (err == nil) != c.ok || err != nil && fault.KindOf(err) != fault.RateLimited {
			t.Errorf("step %d: %v", i, err)
		}
	}
	if refused != 3 {
		t.Errorf("%d refusals told", refused)
	}
	now = now.Add(time.Second)
	if err := g.Meter(who("a", "k1")).Take(0, 6); err != nil {
		t.Error(err)
	}
}
