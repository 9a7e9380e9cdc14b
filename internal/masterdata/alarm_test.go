package masterdata

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/alarm"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// history gives the names of an alarm's events with their authors and comments,
// oldest first.
func (f fixture) history(who Actor, id plant.ID) string {
	f.t.Helper()
	events, _, err := f.Events(f.t.Context(), who.Tenant, EventFilter{Aggregate: id, Limit: 100})
	if err != nil {
		f.t.Fatal(err)
	}
	var out []string
	for i := len(events) - 1; i >= 0; i-- {
		e := events[i]
		if e.AggregateType != "alarm" || e.Seq != int64(len(events)-i) {
			f.t.Errorf("event %+v", e)
		}
		comment := ""
		if _, rest, ok := strings.Cut(string(e.Data), `"comment": "`); ok {
			comment, _, _ = strings.Cut(rest, `"`)
		}
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(e.Type, "Alarm")+" "+e.Actor+" "+comment, " "))
	}
	return strings.Join(out, "; ")
}

func (f fixture) line(who Actor, key string) *Line {
	f.t.Helper()
	l := &Line{LineFields: LineFields{Key: key, Name: key, TimeZone: "UTC", Unit: "bottle"}}
	if err := f.Lines().Create(f.t.Context(), who, l); err != nil {
		f.t.Fatal(err)
	}
	return l
}

// TestAlarmLife takes an alarm through its life: every transition is an event
// with its author and comment and a row of the audit log, a repetition of the
// stream is nothing, and what isn't legal is a conflict that changes nothing.
func TestAlarmLife(t *testing.T) {
	f := newFixture(t)
	clock := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	f.now = func() time.Time { return clock }
	who := f.tenant("acme")
	l := f.line(who, "l1")
	x := f.sensorOn(who, "t1", &l.ID)
	alarms, ctx := f.Alarms(), t.Context()
	id := plant.NameID(x.ID, "alarm", "limit_hh")
	signal := func(at int64, ended bool) string {
		t.Helper()
		names, err := alarms.Signal(ctx, who.Tenant, Signal{Sensor: x.ID, Line: l.ID, Kind: plant.AnomalyLimitHH, At: at, Since: at - 5, Value: float64(at), Limit: 95, Ended: ended})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(names, " ")
	}
	act := func(in alarm.Input, comment string) error {
		_, err := alarms.Act(ctx, who, id.String(), AnyVersion, in, comment)
		return err
	}
	state := func() string {
		t.Helper()
		a, err := alarms.Get(ctx, who.Tenant, id.String())
		if err != nil {
			t.Fatal(err)
		}
		return a.State
	}
	step := func(what, got, want, wantState string) {
		t.Helper()
		if got != want || wantState != "" && state() != wantState {
			t.Errorf("%s: %q and %s, want %q and %s", what, got, state(), want, wantState)
		}
	}
	step("an end of nothing", signal(90, true), "", "")
	step("passed", signal(100, false), "AlarmRaised", "active")
	step("again", signal(100, false), "", "active")
	step("kept", signal(200, true), "AlarmCleared", "cleared")
	step("the old one again", signal(100, false), "", "cleared")
	step("acknowledged", fmt.Sprint(act(alarm.Input{Action: alarm.Acknowledge}, "seen it")), "<nil>", "normal")
	if err := act(alarm.Input{Action: alarm.Acknowledge}, "twice"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("acknowledged twice: %v", err)
	}
	step("passed again", signal(300, false), "AlarmRaised", "active")
	step("shelved", fmt.Sprint(act(alarm.Input{Action: alarm.Shelve, Shelf: alarm.Timed, Until: clock.Add(time.Hour).UnixMilli()}, "probe is being changed")), "<nil>", "shelved")
	n, err := alarms.EndShelves(ctx, who.Tenant)
	step("too early", fmt.Sprint(n, err), "0 <nil>", "shelved")
	clock = clock.Add(time.Hour)
	f.tenant("quiet")
	n, _, err = alarms.Tick(ctx)
	step("time over", fmt.Sprint(n, err), "1 <nil>", "active")
	holds, names, err := alarms.Suppress(ctx, who.Tenant, l.ID, true, 1000, 1001)
	step("cleaning", fmt.Sprint(holds, names, err), "true [AlarmSuppressed] <nil>", "suppressed")
	holds, names, err = alarms.Suppress(ctx, who.Tenant, l.ID, false, 999, 1500)
	step("an old state", fmt.Sprint(holds, names, err), "true [] <nil>", "suppressed")
	step("kept while cleaning", signal(400, true), "AlarmCleared", "suppressed")
	holds, names, err = alarms.Suppress(ctx, who.Tenant, l.ID, false, 2000, 2001)
	step("clean", fmt.Sprint(holds, names, err), "false [AlarmUnsuppressed] <nil>", "cleared")
	step("out of service", fmt.Sprint(act(alarm.Input{Action: alarm.TakeOut}, "no probe")), "<nil>", "out_of_service")

	want := "Raised system; Cleared system; Acknowledged test seen it; Raised system; Shelved test probe is being changed; Unshelved system; " +
		"Suppressed system; Cleared system; Unsuppressed system; TakenOutOfService test no probe"
	if got := f.history(who, id); got != want {
		t.Errorf("history\n%s, want\n%s", got, want)
	}
	rows, _, err := f.AuditLog(ctx, who.Tenant, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	audited := 0
	for _, r := range rows {
		if r.Resource == "alarm/"+id.String() {
			audited++
		}
	}
	if audited != 10 {
		t.Errorf("%d audit rows of 10 transitions", audited)
	}
	if _, broken, err := f.VerifyAudit(ctx, who.Tenant); err != nil || broken != 0 {
		t.Errorf("audit chain: %d, %v", broken, err)
	}
	a, err := alarms.Get(ctx, who.Tenant, id.String())
	if err != nil || a.Occurrences != 2 || a.Value != 300 || a.Version != 10 || a.LineID == nil || *a.LineID != l.ID {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := alarms.Act(ctx, who, id.String(), 3, alarm.Input{Action: alarm.PutBack}, ""); fault.KindOf(err) != fault.PreconditionFailed {
		t.Errorf("another version: %v", err)
	}
	rival := f.tenant("rival")
	if _, err := alarms.Get(ctx, rival.Tenant, id.String()); fault.KindOf(err) != fault.NotFound {
		t.Errorf("of another tenant: %v", err)
	}
	if _, err := alarms.Signal(ctx, rival.Tenant, Signal{Sensor: x.ID, Kind: plant.AnomalyLimitH, At: 1, Since: 1}); err == nil {
		t.Error("another tenant's sensor raises an alarm")
	}
}

// TestAlarmOfALineThatIsCleaned begins suppressed.
func TestAlarmOfALineThatIsCleaned(t *testing.T) {
	f := newFixture(t)
	who := f.tenant("acme")
	l := f.line(who, "l1")
	x := f.sensorOn(who, "t1", &l.ID)
	if _, _, err := f.Alarms().Suppress(t.Context(), who.Tenant, l.ID, true, 10, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Alarms().Signal(t.Context(), who.Tenant, Signal{Sensor: x.ID, Line: l.ID, Kind: plant.AnomalyLimitH, At: 20, Since: 20}); err != nil {
		t.Fatal(err)
	}
	list, _, err := f.Alarms().List(t.Context(), who.Tenant, AlarmFilter{Limit: 10})
	if err != nil || len(list) != 1 || list[0].State != "suppressed" || !list[0].Present {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestAlarmPages reads every page under every filter: each alarm once, newest
// first, also where several began at once.
func TestAlarmPages(t *testing.T) {
	f := newFixture(t)
	who := f.tenant("acme")
	l := f.line(who, "l1")
	kinds := []plant.AnomalyKind{plant.AnomalyLimitLL, plant.AnomalyLimitL, plant.AnomalyLimitH, plant.AnomalyLimitHH, plant.AnomalyRange}
	var sensors []*Sensor
	for i := range 5 {
		on := &l.ID
		if i%2 != 0 {
			on = nil
		}
		sensors = append(sensors, f.sensorOn(who, fmt.Sprint("s", i), on))
		for j, k := range kinds {
			g := Signal{Sensor: sensors[i].ID, Kind: k, At: 1000 * int64(1+(i+j)/2), Since: 1000 * int64(1+(i+j)/2)}
			g.Line = at(on)
			if _, err := f.Alarms().Signal(t.Context(), who.Tenant, g); err != nil {
				t.Fatal(err)
			}
			if j == 0 {
				g.At, g.Ended = g.At+1, true
				if _, err := f.Alarms().Signal(t.Context(), who.Tenant, g); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, c := range map[string]struct {
		f    AlarmFilter
		want int
	}{
		"all": {AlarmFilter{}, 25}, "cleared": {AlarmFilter{States: []string{"cleared"}}, 5}, "two states": {AlarmFilter{States: []string{"cleared", "active"}}, 25},
		"line": {AlarmFilter{Line: l.ID}, 15}, "sensor": {AlarmFilter{Sensor: sensors[1].ID}, 5}, "kind": {AlarmFilter{Kind: "range"}, 5},
		"span": {AlarmFilter{From: time.UnixMilli(2000), To: time.UnixMilli(3000)}, 7}, "sensor and kind": {AlarmFilter{Sensor: sensors[2].ID, Kind: "limit_h"}, 1},
	} {
		seen, last := map[plant.ID]bool{}, time.UnixMilli(1<<50)
		c.f.Limit = 4
		for {
			list, more, err := f.Alarms().List(t.Context(), who.Tenant, c.f)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range list {
				if seen[a.ID] || a.Since.After(last) {
					t.Fatalf("%s: %+v again or out of order", name, a)
				}
				seen[a.ID], last = true, a.Since
			}
			if !more {
				break
			}
			c.f.BeforeSince, c.f.BeforeID = list[len(list)-1].Since, list[len(list)-1].ID
		}
		if len(seen) != c.want {
			t.Errorf("%s: %d alarms, want %d", name, len(seen), c.want)
		}
	}
}
