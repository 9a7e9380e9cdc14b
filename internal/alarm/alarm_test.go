package alarm

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/plant"
)

const hour = int64(3_600_000)

// TestTransitions is the table of ISA-18.2's states: from each state by each
// action to which state, with which names, or that it isn't legal.
func TestTransitions(t *testing.T) {
	present := Alarm{Present: true, Since: 10, Seen: 10, Occurrences: 1}
	acked := present
	acked.Acked = true
	cleared := Alarm{Since: 10, Until: 20, Seen: 20, Occurrences: 1}
	with := func(a Alarm, change func(*Alarm)) Alarm { change(&a); return a }
	timed := func(a *Alarm) { a.Shelf, a.ShelvedUntil = Timed, 100+hour }
	oneShot := func(a *Alarm) { a.Shelf = OneShot }
	suppressed := func(a *Alarm) { a.Suppressed = true }
	out := func(a *Alarm) { a.OutOfService = true }
	raise, gone := Input{Action: Raise, At: 30, Since: 29}, Input{Action: Clear, At: 30, Since: 29}
	for _, c := range []struct {
		from Alarm
		in   Input
		to   State
		name string // "!" begins the reason of an illegal one
	}{
		{New(), raise, Active, "AlarmRaised"},
		{New(), gone, Normal, ""},
		{New(), Input{Action: Acknowledge}, Normal, "!nothing"},
		{present, raise, Active, ""},
		{present, gone, Cleared, "AlarmCleared"},
		{present, Input{Action: Acknowledge}, Acknowledged, "AlarmAcknowledged"},
		{acked, gone, Normal, "AlarmCleared"},
		{present, Input{Action: End, Since: 30}, Cleared, "AlarmCleared"},
		{acked, Input{Action: End, Since: 30}, Normal, "AlarmCleared"},
		{cleared, Input{Action: End, Since: 30}, Cleared, ""},
		{with(present, oneShot), Input{Action: End, Since: 30}, Cleared, "AlarmCleared AlarmUnshelved"},
		{with(present, suppressed), Input{Action: End, Since: 30}, Suppressed, "AlarmCleared"},
		{acked, Input{Action: Acknowledge}, Acknowledged, "!nothing"},
		{cleared, Input{Action: Acknowledge}, Normal, "AlarmAcknowledged"},
		{cleared, raise, Active, "AlarmRaised"},
		{with(cleared, func(a *Alarm) { a.Acked = true }), raise, Active, "AlarmRaised"},
		{present, Input{Action: Shelve, Shelf: Timed, Until: 100 + hour}, Shelved, "AlarmShelved"},
		{present, Input{Action: Shelve, Shelf: OneShot}, Shelved, "AlarmShelved"},
		{present, Input{Action: Shelve, Shelf: Timed, Until: 100}, Active, "!the time is over"},
		{present, Input{Action: Shelve, Shelf: Timed, Until: 100 + 8*24*hour}, Active, "!seven days"},
		{present, Input{Action: Shelve}, Active, "!it must be"},
		{with(present, timed), Input{Action: Shelve, Shelf: OneShot}, Shelved, "AlarmShelved"},
		{with(present, timed), gone, Shelved, "AlarmCleared"},
		{with(present, timed), Input{Action: Unshelve}, Active, "AlarmUnshelved"},
		{with(acked, timed), Input{Action: Unshelve}, Acknowledged, "AlarmUnshelved"},
		{with(present, timed), Input{Action: Tick}, Shelved, ""},
		{with(present, func(a *Alarm) { a.Shelf, a.ShelvedUntil = Timed, 100 }), Input{Action: Tick}, Active, "AlarmUnshelved"},
		{with(present, oneShot), Input{Action: Tick}, Shelved, ""},
		{with(present, oneShot), gone, Cleared, "AlarmCleared AlarmUnshelved"},
		{with(New(), oneShot), raise, Shelved, "AlarmRaised"},
		{present, Input{Action: Unshelve}, Active, "!it is not shelved"},
		{present, Input{Action: Suppress}, Suppressed, "AlarmSuppressed"},
		{with(present, suppressed), Input{Action: Suppress}, Suppressed, ""},
		{with(present, suppressed), Input{Action: Unsuppress}, Active, "AlarmUnsuppressed"},
		{present, Input{Action: Unsuppress}, Active, ""},
		{with(New(), suppressed), raise, Suppressed, "AlarmRaised"},
		{present, Input{Action: TakeOut}, OutOfService, "AlarmTakenOutOfService"},
		{with(present, out), Input{Action: TakeOut}, OutOfService, "!it is out"},
		{with(present, out), Input{Action: PutBack}, Active, "AlarmReturnedToService"},
		{present, Input{Action: PutBack}, Active, "!it is in"},
		{with(New(), out), raise, OutOfService, "AlarmRaised"},
		{with(with(present, out), timed), Input{Action: PutBack}, Shelved, "AlarmReturnedToService"},
		{present, Input{Action: "dance"}, Active, "!there is no such"},
	} {
		t.Run(fmt.Sprintf("%s/%s", c.from.State(), c.in.Action), func(t *testing.T) {
			a := c.from
			names, err := a.Apply(c.in, 100)
			if a.State() != c.to {
				t.Errorf("it is %s, want %s", a.State(), c.to)
			}
			reason, illegal := strings.CutPrefix(c.name, "!")
			var why *Illegal
			switch {
			case illegal && (!errors.As(err, &why) || !strings.HasPrefix(why.Reason, reason) || a != c.from):
				t.Errorf("%v, %+v; want a refusal that %s", err, a, reason)
			case !illegal && (err != nil || strings.Join(names, " ") != c.name):
				t.Errorf("%v, %v; want %s", names, err, c.name)
			}
		})
	}
}

// TestAnyHistory drives alarms through random histories and holds what must be
// true of each: a refusal changes nothing, transitions are named if and only if
// something a person can see of the facts changed, an unacknowledged occurrence
// is never forgotten, hiding never changes the condition, and a stretch of the
// stream that is folded again changes nothing: told by places whatever the device's
// clock does, without them while it goes on.
func TestAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, now, ts := New(), int64(1000), int64(0)
		raised, acked, epoch := int64(0), int64(0), int64(0)
		var seen []Input
		placed, offsets := rapid.Bool().Draw(t, "placed"), [3]int64{}
		actions := []Action{Raise, Clear, End, Tick, Acknowledge, Shelve, Unshelve, Suppress, Unsuppress, TakeOut, PutBack}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			in := Input{Action: rapid.SampledFrom(actions).Draw(t, "action")}
			now += rapid.Int64Range(0, hour).Draw(t, "pause")
			switch in.Action {
			case Raise, Clear:
				ts += rapid.Int64Range(0, 5).Draw(t, "later")
				in.At, in.Since = ts, ts-1
				if placed {
					p := rapid.IntRange(0, len(offsets)-1).Draw(t, "partition")
					offsets[p]++
					in.At, in.Epoch = rapid.Int64Range(1, 1000).Draw(t, "at"), epoch
					in.Place = Place{TopicID: plant.ID{1}, Partition: int32(p), Offset: offsets[p]}
				}
			case End:
				epoch++
				in.Epoch = epoch
			case Shelve:
				in.Shelf = rapid.SampledFrom([]Shelf{Unshelved, Timed, OneShot}).Draw(t, "shelf")
				in.Until = now + rapid.Int64Range(-hour, 2*hour).Draw(t, "until")
			}
			before := a
			names, err := a.Apply(in, now)
			facts := func(x Alarm) Alarm { x.Seen, x.Epoch, x.Places = 0, 0, Places{}; return x }
			switch {
			case err != nil && (a != before || names != nil):
				t.Fatalf("%+v refused and yet %+v became %+v, %v", in, before, a, names)
			case err == nil && in.Action != Shelve && (len(names) > 0) != (facts(a) != facts(before)):
				t.Fatalf("%+v: %+v became %+v, named %v", in, before, a, names)
			}
			for _, n := range names {
				switch n {
				case "AlarmRaised":
					raised++
				case "AlarmAcknowledged":
					acked++
				}
			}
			if in.Action != Raise && in.Action != Clear && in.Action != End && (a.Present != before.Present || a.Since != before.Since || a.Occurrences != before.Occurrences) {
				t.Fatalf("%s changed the condition", in.Action)
			}
			if a.Occurrences != raised || acked > raised || raised == 0 && !a.Acked {
				t.Fatalf("%d occurrences, %d raised, %d acknowledged", a.Occurrences, raised, acked)
			}
			if before.Present != a.Present && a.Present && a.Acked {
				t.Fatal("a new occurrence is acknowledged")
			}
			if (a.Shelf == Timed) != (a.ShelvedUntil != 0) {
				t.Fatalf("shelf %q until %d", a.Shelf, a.ShelvedUntil)
			}
			if in.Action == Raise || in.Action == Clear {
				seen = append(seen, in)
			}
			if in.Action == Tick && a.Shelf == Timed && a.ShelvedUntil <= now {
				t.Fatal("a shelf outlives its time")
			}
		}
		again := a
		for _, in := range seen {
			if names, _ := again.Apply(in, now); names != nil || again != a {
				t.Fatalf("folding %+v again gives %v, %+v", in, names, again)
			}
		}
	})
}
