package run

import (
	"testing"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/processors/oee"
)

// TestReasonsDecideTheClass: a stop is what its reason stands for in the tenant's
// tree; minor stop or breakdown only its length decides.
func TestReasonsDecideTheClass(t *testing.T) {
	tenant, line := plant.NewID(), plant.NewID()
	reason := func(key string, class plant.TimeClass) directory.StopReason {
		return directory.StopReason{ID: plant.NewID(), Tenant: tenant, Key: key, Name: key, Class: class.String()}
	}
	none := reason("none", 0)
	none.Class = ""
	dir := directorytest.Of(t, directory.Tenant{ID: tenant, Key: "t"}, directory.Line{ID: line, Tenant: tenant, Key: "l", Unit: "u", TimeZone: "UTC"},
		reason("training", plant.ClassPlannedStop), reason("jam", plant.ClassBreakdown), reason("no-dough", plant.ClassStarved), none, reason("meal", plant.ClassSetup))
	for _, c := range []struct {
		reason string
		ms     int64
		want   plant.TimeClass
	}{
		{"training", 120_000, plant.ClassPlannedStop},
		{"jam", 120_000, plant.ClassMinorStop},
		{"jam", 600_000, plant.ClassBreakdown},
		{"no-dough", 120_000, plant.ClassStarved},
		{"none", 120_000, plant.ClassMinorStop},
		{"unheard-of", 120_000, plant.ClassMinorStop},
		{"", 120_000, plant.ClassMinorStop},
		{"break", 120_000, plant.ClassPlannedStop}, // every tenant has it
		{"meal", 120_000, plant.ClassSetup},        // this one has its own
	} {
		d, _ := dir.LineByID(line)
		var l oee.Line
		t0 := int64(1_790_000_040_000)
		for i, s := range []plant.State{plant.StateExecute, plant.StateHeld, plant.StateExecute} {
			e := plant.LineEvent{Tenant: tenant, Line: line, Type: plant.EventState, State: s, TS: t0 + []int64{0, 60_000, 60_000 + c.ms}[i], Seq: plant.NoSeq}
			if s == plant.StateHeld {
				e.Reason = c.reason
			}
			e.ID = plant.EventID(&e)
			if _, err := l.Event(&e); err != nil {
				t.Fatal(err)
			}
		}
		for m := range int64(20) {
			l.Signal(t0 + m*60_000)
		}
		var got [plant.NumTimeClasses]int64
		l.Advance(lineConfig(dir, d), func(p *plant.OEEPart) {
			for i, ms := range p.TimeMS {
				got[i] += ms
			}
		})
		if got[c.want] != c.ms {
			t.Errorf("%d ms of %q: %v, want all as %s", c.ms, c.reason, got, c.want)
		}
	}
}
