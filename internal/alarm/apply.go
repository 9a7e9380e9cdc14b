package alarm

import (
	"fmt"
	"time"
)

// Action is what can be done to an alarm, or happen to it.
type Action string

// The actions. The first two come from the stream, End from a change of the sensor,
// Tick from the clock, Suppress and Unsuppress from the plant's state, the others
// from people.
const (
	Raise        Action = "raise"
	Clear        Action = "clear"
	End          Action = "end"
	Tick         Action = "tick"
	Acknowledge  Action = "acknowledge"
	Shelve       Action = "shelve"
	Unshelve     Action = "unshelve"
	Suppress     Action = "suppress"
	Unsuppress   Action = "unsuppress"
	TakeOut      Action = "out_of_service"
	PutBack      Action = "in_service"
	maxShelfTime        = 7 * 24 * time.Hour
)

// Input is one action with what it needs.
type Input struct {
	Action Action
	// At is the time of the reading (Raise, Clear); Since when the condition
	// began or ended (End too).
	At, Since int64
	// Place is where the reading lies; without a TopicID it isn't known. Epoch is
	// the sensor's, under which the reading was found to say so (End: the one that
	// begins).
	Place Place
	Epoch int64
	// Shelf and Until are Shelve's.
	Shelf Shelf
	Until int64
}

// Illegal is an action that the alarm's state doesn't allow.
type Illegal struct {
	Action Action
	State  State
	Reason string
}

// Error says what and why.
func (e *Illegal) Error() string {
	return fmt.Sprintf("an alarm that is %s can't take %s: %s", e.State, e.Action, e.Reason)
}

// Apply takes an input at the server's time now and gives the names of the
// transitions that it made, none when it changed nothing. An illegal one changes
// nothing.
func (a *Alarm) Apply(in Input, now int64) ([]string, error) {
	refuse := func(reason string) ([]string, error) {
		return nil, &Illegal{in.Action, a.State(), reason}
	}
	switch in.Action {
	case Raise, Clear:
		return a.condition(in), nil
	case End:
		a.Epoch, a.Places = in.Epoch, Places{}
		if !a.Present {
			return nil, nil
		}
		return a.clear(max(in.Since, a.Since)), nil
	case Tick:
		if a.Shelf == Timed && now >= a.ShelvedUntil {
			return a.unshelve(), nil
		}
		return nil, nil
	case Acknowledge:
		if a.Acked {
			return refuse("nothing of it waits for acknowledgement")
		}
		a.Acked = true
		return []string{"AlarmAcknowledged"}, nil
	case Shelve:
		return a.shelve(in, now)
	case Unshelve:
		if a.Shelf == Unshelved {
			return refuse("it is not shelved")
		}
		return a.unshelve(), nil
	case Suppress:
		return set(&a.Suppressed, true, "AlarmSuppressed"), nil
	case Unsuppress:
		return set(&a.Suppressed, false, "AlarmUnsuppressed"), nil
	case TakeOut:
		if a.OutOfService {
			return refuse("it is out of service already")
		}
		return set(&a.OutOfService, true, "AlarmTakenOutOfService"), nil
	case PutBack:
		if !a.OutOfService {
			return refuse("it is in service")
		}
		return set(&a.OutOfService, false, "AlarmReturnedToService"), nil
	}
	return refuse("there is no such action")
}

// set moves a flag; the plant's state is told again and again, so that it holds
// already is no fault.
func set(flag *bool, to bool, name string) []string {
	if *flag == to {
		return nil
	}
	*flag = to
	return []string{name}
}

// condition follows the stream.
func (a *Alarm) condition(in Input) []string {
	if !a.news(in) {
		return nil
	}
	a.Seen = in.At
	if (in.Action == Raise) == a.Present {
		return nil
	}
	if in.Action == Raise {
		a.Present, a.Acked, a.Since, a.Until = true, false, in.Since, 0
		a.Occurrences++
		return []string{"AlarmRaised"}
	}
	return a.clear(in.Since)
}

// news says whether what the stream says was not said before, or by an epoch that
// is over. The device's clock tells that only where the place isn't known: a clock
// that was fast once would make repetitions of all that follows.
func (a *Alarm) news(in Input) bool {
	if in.Place.TopicID.IsZero() {
		return in.At > a.Seen
	}
	if in.Epoch > a.Epoch {
		a.Epoch, a.Places = in.Epoch, Places{}
	}
	return in.Epoch == a.Epoch && a.Places.news(in.Place)
}

// clear ends the condition.
func (a *Alarm) clear(until int64) []string {
	a.Present, a.Until = false, until
	if a.Shelf == OneShot {
		return append([]string{"AlarmCleared"}, a.unshelve()...)
	}
	return []string{"AlarmCleared"}
}

func (a *Alarm) shelve(in Input, now int64) ([]string, error) {
	refuse := func(reason string) ([]string, error) {
		return nil, &Illegal{in.Action, a.State(), reason}
	}
	switch in.Shelf {
	case Timed:
		if in.Until <= now {
			return refuse("the time is over already")
		}
		if in.Until > now+maxShelfTime.Milliseconds() {
			return refuse("seven days are the longest")
		}
		a.ShelvedUntil = in.Until
	case OneShot:
		a.ShelvedUntil = 0
	case Unshelved:
		return refuse("it must be timed or one_shot")
	default:
		return refuse("it must be timed or one_shot")
	}
	a.Shelf = in.Shelf
	return []string{"AlarmShelved"}, nil
}

func (a *Alarm) unshelve() []string {
	a.Shelf, a.ShelvedUntil = Unshelved, 0
	return []string{"AlarmUnshelved"}
}
