package masterdata

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// broken gives the places and rules that an error names; "" for none.
func broken(err error) string {
	var e *fault.Error
	if !errors.As(err, &e) {
		if err != nil {
			return err.Error()
		}
		return ""
	}
	var out []string
	for _, x := range e.Items {
		out = append(out, x.Location+" "+x.Rule)
	}
	if out == nil {
		return e.Detail
	}
	return strings.Join(out, "; ")
}

func TestCalendarRules(t *testing.T) {
	shift := func(day int, start string, minutes int, breaks ...directory.Break) directory.Shift {
		return directory.Shift{Key: "s", Day: day, Start: start, Minutes: minutes, Breaks: breaks}
	}
	type shifts = []directory.Shift
	for name, c := range map[string]struct {
		zone       string
		cycle      int
		anchor     string
		shifts     shifts
		exceptions []directory.CalendarException
		want       string
	}{
		"three shifts, each day":            {"Europe/Berlin", 1, "2026-01-05", shifts{shift(0, "06:00", 480), shift(0, "14:00", 480), shift(0, "22:00", 480)}, nil, ""},
		"a night into the first day":        {"Europe/Berlin", 7, "2026-01-05", shifts{shift(6, "22:00", 480), shift(0, "06:00", 480)}, nil, ""},
		"rotating teams over four weeks":    {"Australia/Lord_Howe", 28, "2026-01-05", shifts{shift(0, "00:00", 1440), shift(1, "00:00", 1440), shift(27, "12:00", 720)}, nil, ""},
		"a night that meets the next day's": {"UTC", 1, "2026-01-05", shifts{shift(0, "06:00", 480), shift(0, "22:00", 481)}, nil, "shifts[0] overlap"},
		"a night round the cycle's end":     {"UTC", 7, "2026-01-05", shifts{shift(0, "05:59", 60), shift(6, "22:00", 480)}, nil, "shifts[0] overlap"},
		"two at once":                       {"UTC", 7, "2026-01-05", shifts{shift(2, "06:00", 60), shift(2, "06:59", 60)}, nil, "shifts[1] overlap"},
		"a day behind the cycle":            {"UTC", 7, "2026-01-05", shifts{shift(7, "06:00", 60)}, nil, "shifts[0].day range"},
		"no such time":                      {"UTC", 7, "2026-01-05", shifts{shift(0, "24:00", 60)}, nil, "shifts[0].start time"},
		"no time at all":                    {"UTC", 7, "2026-01-05", shifts{shift(0, "06:00", 0)}, nil, "shifts[0].minutes range"},
		"longer than a day":                 {"UTC", 7, "2026-01-05", shifts{shift(0, "06:00", 1441)}, nil, "shifts[0].minutes range"},
		"breaks":                            {"UTC", 7, "2026-01-05", shifts{shift(0, "06:00", 480, directory.Break{After: 120, Minutes: 15}, directory.Break{After: 240, Minutes: 30})}, nil, ""},
		"breaks that overlap":               {"UTC", 7, "2026-01-05", shifts{shift(0, "06:00", 480, directory.Break{After: 120, Minutes: 15}, directory.Break{After: 130, Minutes: 30})}, nil, "shifts[0].breaks[1] range"},
		"a break past the end":              {"UTC", 7, "2026-01-05", shifts{shift(0, "06:00", 480, directory.Break{After: 470, Minutes: 15})}, nil, "shifts[0].breaks[0] range"},
		"no zone":                           {"Mars/Olympus", 7, "2026-01-05", nil, nil, "time_zone time_zone"},
		"no cycle":                          {"UTC", 0, "2026-01-05", nil, nil, "cycle_days range"},
		"no date":                           {"UTC", 7, "2026-02-30", nil, nil, "anchor date"},
		"holiday, overtime, cancelled": {"UTC", 7, "2026-01-05", shifts{shift(0, "06:00", 480)}, []directory.CalendarException{
			{Date: "2026-12-25", Reason: "Christmas"}, {Date: "2026-12-19", Reason: "overtime", Shifts: shifts{shift(0, "06:00", 480), shift(0, "14:00", 240)}},
		}, ""},
		"an exception's night has no next day":  {"UTC", 7, "2026-01-05", nil, []directory.CalendarException{{Date: "2026-12-19", Shifts: shifts{shift(0, "06:00", 480), shift(0, "22:00", 600)}}}, ""},
		"an exception with a second day":        {"UTC", 7, "2026-01-05", nil, []directory.CalendarException{{Date: "2026-12-19", Shifts: shifts{shift(1, "06:00", 480)}}}, "exceptions[0].shifts[0].day range"},
		"two exceptions for a date":             {"UTC", 7, "2026-01-05", nil, []directory.CalendarException{{Date: "2026-12-25"}, {Date: "2026-12-25"}}, "exceptions[1].date unique"},
		"an exception's shifts overlap":         {"UTC", 7, "2026-01-05", nil, []directory.CalendarException{{Date: "2026-12-19", Shifts: shifts{shift(0, "06:00", 480), shift(0, "13:00", 60)}}}, "exceptions[0].shifts[1] overlap"},
		"a shift without a name in a full week": {"UTC", 7, "2026-01-05", shifts{{Day: 0, Start: "06:00", Minutes: 60}}, nil, "shifts[0].key key"},
	} {
		x := &Calendar{CalendarFields: CalendarFields{Key: "c", Name: "c", TimeZone: c.zone, CycleDays: c.cycle, Anchor: c.anchor, Shifts: c.shifts, Exceptions: c.exceptions}}
		if got := broken(checkCalendar(x).broken()); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestStopReasonTree builds a tree and tries to make it none.
func TestStopReasonTree(t *testing.T) {
	f := newFixture(t)
	who, other := f.tenant("acme"), f.tenant("other")
	make := func(who Actor, key string, parent *plant.ID, class string) (*StopReason, error) {
		x := &StopReason{StopReasonFields: StopReasonFields{Key: key, Name: key, ParentID: parent, Class: class}}
		return x, f.StopReasons().Create(t.Context(), who, x)
	}
	root, err := make(who, "root", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	at, chain := root, []*StopReason{root}
	for i := range 5 {
		if at, err = make(who, "r"+string(rune('a'+i)), &at.ID, "breakdown"); err != nil {
			t.Fatal(err)
		}
		chain = append(chain, at)
	}
	theirs, err := make(other, "root", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	nobody := plant.NewID()
	move := func(x *StopReason, parent *plant.ID) error {
		_, err := f.StopReasons().Update(t.Context(), who, x.ID.String(), AnyVersion, func(r *StopReason) error {
			r.ParentID = parent
			return nil
		})
		return err
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"under its own leaf":      {move(root, &at.ID), "parent_id cycle"},
		"under its child":         {move(chain[2], &chain[3].ID), "parent_id cycle"},
		"under itself":            {move(chain[2], &chain[2].ID), "parent_id cycle"},
		"under nobody":            {move(chain[2], &nobody), "parent_id unknown"},
		"under another tenant's":  {move(chain[2], &theirs.ID), "parent_id unknown"},
		"to another branch":       {move(chain[4], &root.ID), ""},
		"to the root":             {move(chain[4], nil), ""},
		"an unknown class":        {second(make(who, "x", nil, "coffee")), "class enum"},
		"a taken key":             {second(make(who, "root", nil, "")), "another stop reason already has this key"},
		"deleting what has parts": {f.StopReasons().Delete(t.Context(), who, "root", AnyVersion), "the stop reason is still in use"},
	} {
		if got := broken(c.err); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	children, _, err := f.StopReasons().List(t.Context(), who.Tenant, Page{Sort: "key", Limit: 10, Where: map[string]string{"parent_id": root.ID.String()}})
	if err != nil || len(children) != 1 || children[0].Key != "ra" {
		t.Errorf("children of the root: %v, %v", children, err)
	}
}

func second(_ *StopReason, err error) error { return err }

// TestIdealRates: a rate a product from a date on; the line reads back what was
// said, in order, and the directory gets the same.
func TestIdealRates(t *testing.T) {
	f := newFixture(t)
	who := f.tenant("acme")
	p := &Product{ProductFields: ProductFields{Key: "water", Name: "water", Unit: "bottle"}}
	if err := f.Products().Create(t.Context(), who, p); err != nil {
		t.Fatal(err)
	}
	may, june := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	l := f.line(who, "l1")
	set := func(rates ...IdealRate) error {
		_, err := f.Lines().Update(t.Context(), who, "l1", AnyVersion, func(l *Line) error {
			l.IdealRates = rates
			return nil
		})
		return err
	}
	for name, c := range map[string]struct {
		rates []IdealRate
		want  string
	}{
		"none":                 {nil, ""},
		"two dates":            {[]IdealRate{{"water", 320, june}, {"water", 300, may}}, ""},
		"the same date twice":  {[]IdealRate{{"water", 300, may}, {"water", 320, may}}, "ideal_rates[1] duplicate"},
		"no such product":      {[]IdealRate{{"wine", 300, may}}, "ideal_rates[0].product unknown"},
		"no rate":              {[]IdealRate{{"water", 0, may}}, "ideal_rates[0].per_minute range"},
		"a rate past all":      {[]IdealRate{{"water", math.Inf(1), may}}, "ideal_rates[0].per_minute range"},
		"a rate that is below": {[]IdealRate{{"water", 1, may}, {"water", -3, june}}, "ideal_rates[1].per_minute range"},
	} {
		if got := broken(set(c.rates...)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if err := set(IdealRate{"water", 320, june}, IdealRate{"water", 300, may}, IdealRate{Product: "water", PerMinute: 280}); err != nil {
		t.Fatal(err)
	}
	got, err := f.Lines().Get(t.Context(), who.Tenant, l.ID.String())
	if err != nil || len(got.IdealRates) != 3 || got.IdealRates[0].PerMinute != 280 || got.IdealRates[1] != (IdealRate{"water", 300, may}) || got.IdealRates[2] != (IdealRate{"water", 320, june}) {
		t.Errorf("%+v, %v", got.IdealRates, err)
	}
	e, ok := lineEntry(who.Tenant, got).(directory.Line)
	if !ok || len(e.Ideal) != 3 || e.Ideal[1].From != may.UnixMilli() || e.Ideal[0].From != 0 {
		t.Errorf("the directory gets %+v", e.Ideal)
	}
	// The product stands on the rate.
	if err := f.Products().Delete(t.Context(), who, "water", AnyVersion); fault.KindOf(err) != fault.Conflict {
		t.Errorf("deleting a product with rates: %v", err)
	}
}

// TestBatchFigures: yield, scrap rate and costs from what is known, null where it
// isn't.
func TestBatchFigures(t *testing.T) {
	v := func(x float64) *float64 { return &x }
	show := func(p *float64) any {
		if p == nil {
			return nil
		}
		return *p
	}
	for name, c := range map[string]struct {
		f    BatchFields
		want [5]any // yield, scrap rate, completed, total cost, unit cost
	}{
		"planned":             {BatchFields{PlannedQuantity: 100}, [5]any{nil, nil, nil, nil, nil}},
		"made":                {BatchFields{PlannedQuantity: 100, ActualQuantity: v(75), ScrapQuantity: v(25)}, [5]any{0.75, 0.25, 0.75, nil, nil}},
		"scrap not measured":  {BatchFields{PlannedQuantity: 100, ActualQuantity: v(50)}, [5]any{nil, nil, 0.5, nil, nil}},
		"all scrap":           {BatchFields{PlannedQuantity: 100, ActualQuantity: v(0), ScrapQuantity: v(8), ScrapCost: v(4)}, [5]any{0.0, 1.0, 0.0, 4.0, nil}},
		"nothing made at all": {BatchFields{PlannedQuantity: 100, ActualQuantity: v(0), ScrapQuantity: v(0)}, [5]any{nil, nil, 0.0, nil, nil}},
		"costs":               {BatchFields{PlannedQuantity: 100, ActualQuantity: v(50), LabourCost: v(10), MaterialCost: v(20), ScrapCost: v(5)}, [5]any{nil, nil, 0.5, 35.0, 0.7}},
		"costs in cents":      {BatchFields{PlannedQuantity: 100, LabourCost: v(0.1), MaterialCost: v(0.2)}, [5]any{nil, nil, nil, 0.3, nil}},
		"more than planned":   {BatchFields{PlannedQuantity: 100, ActualQuantity: v(150), ScrapQuantity: v(0), MaterialCost: v(30)}, [5]any{1.0, 0.0, 1.5, 30.0, 0.2}},
	} {
		f := (&Batch{BatchFields: c.f}).figures()
		if got := [5]any{show(f.Yield), show(f.ScrapRate), show(f.Completed), show(f.TotalCost), show(f.UnitCost)}; got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
