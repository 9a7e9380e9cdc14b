package masterdata

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/alarm"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// readings is the topic that the signals of these tests come from.
var readings = plant.NameID(plant.ID{}, "readings")

// watched is a sensor with limits on the first of two lines, and what the stream
// says of it.
type watched struct {
	fixture
	who    Actor
	x      *Sensor
	l1, l2 *Line
}

func newWatched(t *testing.T) *watched {
	t.Helper()
	f := newFixture(t)
	w := &watched{fixture: f, who: f.tenant("acme")}
	w.l1, w.l2 = f.line(w.who, "l1"), f.line(w.who, "l2")
	w.x = f.sensorOn(w.who, "t1", &w.l1.ID)
	w.change(func(x *Sensor) {
		h, hh, low, high := 90.0, 95.0, 0.0, 200.0
		x.H, x.HH, x.RangeMin, x.RangeMax = &h, &hh, &low, &high
	})
	return w
}

// change changes the sensor as a person does.
func (w *watched) change(change func(*Sensor)) {
	w.t.Helper()
	x, err := w.Sensors().Update(w.t.Context(), w.who, w.x.ID.String(), AnyVersion, func(x *Sensor) error { change(x); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	w.x = x
}

// says is what the detector of a line says at an offset, under an epoch counted from
// the one in which the limits were set.
func (w *watched) says(l *Line, k plant.AnomalyKind, offset, ts, epoch int64, ended bool) string {
	w.t.Helper()
	names, err := w.Alarms().Signal(w.t.Context(), w.who.Tenant, Signal{
		Sensor: w.x.ID, Line: l.ID, Kind: k, At: ts, Since: ts, Value: 96, Limit: 95, Ended: ended,
		Place: alarm.Place{TopicID: readings, Partition: int32(l.ID[15]), Offset: offset}, Epoch: 1 + epoch,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(names, " ")
}

// alarms gives the states of all alarms by kind.
func (w *watched) alarms() string {
	w.t.Helper()
	var out []string
	for _, k := range alarmKinds() {
		a, err := w.Alarms().Get(w.t.Context(), w.who.Tenant, alarmID(w.x.ID, k).String())
		if fault.KindOf(err) == fault.NotFound {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, k+" "+a.State)
	}
	return strings.Join(out, ", ")
}

func (w *watched) want(what, got, want, alarms string) {
	w.t.Helper()
	if now := w.alarms(); got != want || now != alarms {
		w.t.Errorf("%s: %q and %q, want %q and %q", what, got, now, want, alarms)
	}
}

// TestAlarmAfterAFastClock: the sensor's clock was nine minutes fast for one
// excursion. The next, by the clock put right, raises its alarm again, and what is
// read again changes nothing. So does an alarm that the program before left.
func TestAlarmAfterAFastClock(t *testing.T) {
	const hh, now, fast = plant.AnomalyLimitHH, int64(1_795_000_000_000), int64(540_000)
	w := newWatched(t)
	w.want("passed", w.says(w.l1, hh, 1, now+fast, 0, false), "AlarmRaised", "limit_hh active")
	w.want("kept", w.says(w.l1, hh, 2, now+fast+1, 0, true), "AlarmCleared", "limit_hh cleared")
	w.want("passed by the right clock", w.says(w.l1, hh, 4, now+10, 0, false), "AlarmRaised", "limit_hh active")
	w.want("said again", w.says(w.l1, hh, 1, now+fast, 0, false)+w.says(w.l1, hh, 2, now+fast+1, 0, true)+w.says(w.l1, hh, 4, now+10, 0, false), "", "limit_hh active")
	w.want("fast again", w.says(w.l1, hh, 5, now+fast, 0, true), "AlarmCleared", "limit_hh cleared")
	w.want("still kept", w.says(w.l1, hh, 9, now+11, 0, true), "", "limit_hh cleared")
	w.want("said again, after the last place", w.says(w.l1, hh, 8, now+12, 0, false), "", "limit_hh cleared")

	w = newWatched(t)
	old := func(ts int64, ended bool) string {
		names, err := w.Alarms().Signal(t.Context(), w.who.Tenant, Signal{Sensor: w.x.ID, Line: w.l1.ID, Kind: hh, At: ts, Since: ts, Ended: ended})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(names, " ")
	}
	w.want("without a place", old(now+fast, false)+" "+old(now+fast+1, true), "AlarmRaised AlarmCleared", "limit_hh cleared")
	w.want("control: the right clock, without a place", old(now, false), "", "limit_hh cleared")
	w.want("with a place", w.says(w.l1, hh, 4, now, 0, false), "AlarmRaised", "limit_hh active")
}

// TestAlarmsEndWhenTheSensorMoves: what is there ends with the change that moves the
// sensor, once, and says why. What the line's detector says behind it is of no more
// use; the new line's raises it again, suppressed as that line is. Back on the first
// line everything begins again.
func TestAlarmsEndWhenTheSensorMoves(t *testing.T) {
	const h, hh = plant.AnomalyLimitH, plant.AnomalyLimitHH
	w := newWatched(t)
	id := alarmID(w.x.ID, "limit_hh")
	if _, _, err := w.Alarms().Suppress(t.Context(), w.who.Tenant, w.l2.ID, true, 10, 10); err != nil {
		t.Fatal(err)
	}
	w.says(w.l1, h, 1, 1000, 0, false)
	w.says(w.l1, h, 2, 1500, 0, true)
	w.want("passed", w.says(w.l1, hh, 5, 2000, 0, false), "AlarmRaised", "limit_h cleared, limit_hh active")
	w.change(func(x *Sensor) { x.Name = "renamed" })
	w.want("renamed", "", "", "limit_h cleared, limit_hh active")
	w.change(func(x *Sensor) { x.LineID = &w.l2.ID })
	w.want("moved", "", "", "limit_h cleared, limit_hh cleared")
	w.want("late words of the line it left", w.says(w.l1, h, 7, 2001, 0, false)+w.says(w.l1, hh, 8, 2002, 1, false), "", "limit_h cleared, limit_hh cleared")
	w.want("passed on the line it is on", w.says(w.l2, hh, 1, 2003, 1, false), "AlarmRaised", "limit_h cleared, limit_hh suppressed")
	if a, err := w.Alarms().Get(t.Context(), w.who.Tenant, id.String()); err != nil || a.LineID == nil || *a.LineID != w.l2.ID {
		t.Errorf("raised on %v, %v", a.LineID, err)
	}
	w.change(func(x *Sensor) { x.LineID = &w.l1.ID })
	w.want("back: words of before", w.says(w.l1, hh, 6, 2004, 0, false), "", "limit_h cleared, limit_hh suppressed")
	w.want("back: passed", w.says(w.l1, hh, 9, 2005, 2, false), "AlarmRaised", "limit_h cleared, limit_hh active")
	w.change(func(x *Sensor) { x.LineID = nil })
	w.want("on no line", "", "", "limit_h cleared, limit_hh cleared")
	const moved = "Cleared test the sensor went to another line"
	want := "Raised system; " + moved + "; Raised system; " + moved + "; Raised system; " + moved
	if got := w.history(w.who, id); got != want {
		t.Errorf("history\n%s, want\n%s", got, want)
	}
	if got := w.epochs(); got != "0 1 1 2 3 4" {
		t.Errorf("the directory was told of epochs %s", got)
	}
}

// TestAlarmsEndWithTheirLimit: a limit that is taken off ends its alarm and no other;
// with it as it was again, what the detector says under the new epoch counts, and what
// it said before doesn't. The instrument's range is one limit, either end.
func TestAlarmsEndWithTheirLimit(t *testing.T) {
	const h, hh, out = plant.AnomalyLimitH, plant.AnomalyLimitHH, plant.AnomalyRange
	w := newWatched(t)
	for i, k := range []plant.AnomalyKind{h, hh, out} {
		w.says(w.l1, k, int64(i), 1000, 0, false)
	}
	limit := w.x.H
	w.change(func(x *Sensor) { x.H = nil })
	w.want("without", w.says(w.l1, h, 10, 2000, 0, false), "", "limit_h cleared, limit_hh active, range active")
	w.change(func(x *Sensor) { x.H = limit })
	w.want("with it again", "", "", "limit_h cleared, limit_hh active, range active")
	w.want("under the old epoch", w.says(w.l1, h, 11, 2001, 1, false), "", "limit_h cleared, limit_hh active, range active")
	w.want("under the new one", w.says(w.l1, h, 12, 2002, 2, false)+w.says(w.l1, hh, 12, 2002, 2, false), "AlarmRaised", "limit_h active, limit_hh active, range active")
	w.change(func(x *Sensor) { more := *x.H + 2; x.H = &more })
	w.want("moved: words of before", w.says(w.l1, h, 13, 2003, 2, true), "", "limit_h active, limit_hh active, range active")
	w.want("moved: it is kept", w.says(w.l1, h, 14, 2004, 3, true), "AlarmCleared", "limit_h cleared, limit_hh active, range active")
	w.change(func(x *Sensor) { x.RangeMax = nil })
	w.want("half a range", "", "", "limit_h cleared, limit_hh active, range cleared")
	if got := w.history(w.who, alarmID(w.x.ID, "range")); got != "Raised system; Cleared test the limit was taken off" {
		t.Errorf("history %s", got)
	}
}

// TestAlarmsEndWithTheirSensor: the end is told before they are gone with it, and
// what the stream says behind it is refused.
func TestAlarmsEndWithTheirSensor(t *testing.T) {
	w := newWatched(t)
	w.says(w.l1, plant.AnomalyLimitHH, 5, 2000, 0, false)
	if err := w.Sensors().Delete(t.Context(), w.who, w.x.ID.String(), AnyVersion); err != nil {
		t.Fatal(err)
	}
	if got := w.history(w.who, alarmID(w.x.ID, "limit_hh")); got != "Raised system; Cleared test the sensor was deleted" {
		t.Errorf("history %s", got)
	}
	w.want("ended behind it", w.says(w.l1, plant.AnomalyLimitHH, 6, 2001, 0, true), "", "")
	_, err := w.Alarms().Signal(t.Context(), w.who.Tenant, Signal{Sensor: w.x.ID, Line: w.l1.ID, Kind: plant.AnomalyLimitHH, At: 1, Since: 1})
	if !Refused(err) {
		t.Errorf("passed behind it: %v", err)
	}
}

// epochs lists what the directory was told of the sensor, oldest first.
func (w *watched) epochs() string {
	w.t.Helper()
	var out []string
	err := w.db.InShared(w.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT coalesce(data->>'epoch', '0') FROM outbox WHERE subject_id = $1 AND kind = 'directory' ORDER BY id", w.x.ID)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(out, " ")
}

// TestSuppressionAndClocks: what a line says last is what holds, though its clock was
// fast before; what is merely late is no news; what is read again ends where it ended.
func TestSuppressionAndClocks(t *testing.T) {
	const minute = int64(60_000)
	type said struct {
		on           bool
		at, received int64
	}
	for name, c := range map[string]struct {
		story []said
		want  bool
	}{
		"in order":                   {[]said{{true, 1000, 1005}, {false, 2000, 2005}}, false},
		"late":                       {[]said{{false, 1000, 1005}, {true, 3000, 3005}, {false, 2000, 3500}}, true},
		"cleaned by a fast clock":    {[]said{{true, 1000 + 9*minute, 1005}, {false, 61_000, 61_005}}, false},
		"a queue with a fast clock":  {[]said{{true, 1000 + 9*minute, 70_000}, {false, 61_000, 70_000}}, false},
		"a clock that is fast":       {[]said{{true, 1000 + 9*minute, 1005}, {false, 2000 + 9*minute, 2005}}, false},
		"both in one millisecond":    {[]said{{true, 3000, 1005}, {false, 3001, 1005}}, false},
		"somewhat fast, put right":   {[]said{{true, 6000, 1005}, {false, 1500, 1505}}, false},
		"produced by a fast clock":   {[]said{{false, 1000 + 9*minute, 1005}, {true, 61_000, 61_005}}, true},
		"fast, and then out of turn": {[]said{{false, 1000 + 9*minute, 1005}, {true, 61_000, 61_005}, {false, 60_000, 62_000}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			who := f.tenant("acme")
			l := f.line(who, "l1")
			for range 2 {
				holds := false
				for _, s := range c.story {
					var err error
					if holds, _, err = f.Alarms().Suppress(t.Context(), who.Tenant, l.ID, s.on, s.at, s.received); err != nil {
						t.Fatal(err)
					}
				}
				if holds != c.want {
					t.Errorf("suppressed %v", holds)
				}
			}
		})
	}
}
