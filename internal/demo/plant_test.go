package demo

import (
	"testing"

	"github.com/foodflow/foodflow/internal/plant"
)

func TestDescribeHolds(t *testing.T) {
	p := Describe()
	if len(p.Lines) != 3 {
		t.Fatalf("got %d lines, want 3", len(p.Lines))
	}
	ids, keys := map[plant.ID]string{}, map[string]bool{}
	once := func(id plant.ID, key string) {
		t.Helper()
		if was, ok := ids[id]; ok {
			t.Errorf("%s and %s share id %s", key, was, id)
		}
		if keys[key] {
			t.Errorf("key %s stands twice", key)
		}
		ids[id], keys[key] = key, true
	}
	for _, l := range p.Lines {
		once(l.ID, l.Key)
		if few := len(l.Sensors) < 12; few != l.ByHand || len(l.Sensors) == 0 || len(l.Ideal) != len(l.Products) {
			t.Errorf("line %s: %d sensors, %d ideal rates for %d products", l.Key, len(l.Sensors), len(l.Ideal), len(l.Products))
		}
		for _, s := range l.Sensors {
			once(s.ID, s.Key)
			if s.Line != l.ID || s.Tenant != p.Tenant.ID {
				t.Errorf("sensor %s belongs elsewhere", s.Key)
			}
			for name, v := range map[string]float64{"nominal": s.Nominal, "idle": s.Idle, "cip": s.CIP} {
				if v < *s.RangeMin || v > *s.RangeMax {
					t.Errorf("sensor %s: %s %v outside the instrument's range", s.Key, name, v)
				}
			}
			inOrder(t, s)
		}
	}
	for _, r := range p.StopReasons {
		once(r.ID, r.Key)
		if !r.Parent.IsZero() && ids[r.Parent] == "" {
			t.Errorf("stop reason %s stands before its parent", r.Key)
		}
	}
}

// inOrder holds LL < L < nominal < H < HH: in good order no limit is passed.
func inOrder(t *testing.T, s Sensor) {
	t.Helper()
	last := *s.RangeMin
	for _, v := range []*float64{s.LL, s.L, &s.Nominal, s.H, s.HH, s.RangeMax} {
		if v == nil {
			continue
		}
		if *v < last {
			t.Errorf("sensor %s: limits out of order at %v", s.Key, *v)
		}
		last = *v
	}
}

// TestDescribeIsStable holds the ids that data already stored under.
func TestDescribeIsStable(t *testing.T) {
	p := Describe()
	for _, c := range []struct {
		what string
		got  plant.ID
		want string
	}{
		{"tenant", p.Tenant.ID, "bedbf2f1-e02e-5450-863f-4ce29a3b6ca6"},
		{"line", p.Lines[0].ID, "1e4d8cd1-e79a-5b03-84ba-61c71adc0bc6"},
		{"sensor", p.Lines[0].Sensors[0].ID, "c9124d60-2ed4-5f95-b647-e1b11e0174e6"},
	} {
		if c.got.String() != c.want {
			t.Errorf("%s id is %s, was %s", c.what, c.got, c.want)
		}
	}
}
