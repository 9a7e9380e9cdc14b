package alarm

// Shelf is how an alarm is put aside.
type Shelf string

// The shelves.
const (
	Unshelved Shelf = ""
	Timed     Shelf = "timed"    // until Alarm.ShelvedUntil
	OneShot   Shelf = "one_shot" // until the condition clears
)

// State is what a person sees of an alarm.
type State string

// The states, each hiding those below it.
const (
	OutOfService State = "out_of_service"
	Suppressed   State = "suppressed" // by design: the plant's state makes it meaningless
	Shelved      State = "shelved"
	Active       State = "active"       // there and not acknowledged
	Acknowledged State = "acknowledged" // there and acknowledged
	Cleared      State = "cleared"      // gone and not acknowledged
	Normal       State = "normal"       // gone and acknowledged
)

// States lists them.
func States() []State {
	return []State{Active, Acknowledged, Cleared, Normal, Shelved, Suppressed, OutOfService}
}

// Alarm is the state of one alarm; times are Unix milliseconds. The zero value
// has never been active.
type Alarm struct {
	// Present says that the condition is there, Acked that a person has seen its
	// latest occurrence (or that there was none).
	Present bool
	Acked   bool
	// Since is when the latest occurrence began and Until when it ended (0 while
	// it lasts), both by the sensor's clock.
	Since, Until int64
	// Seen is the time of the newest reading that said something of the
	// condition; older ones change nothing.
	Seen        int64
	Occurrences int64
	Shelf       Shelf
	// ShelvedUntil is the server's time at which a timed shelf ends.
	ShelvedUntil int64
	Suppressed   bool
	OutOfService bool
}

// New is an alarm that has never been active.
func New() Alarm { return Alarm{Acked: true} }

// State names the strongest of what holds.
func (a *Alarm) State() State {
	switch {
	case a.OutOfService:
		return OutOfService
	case a.Suppressed:
		return Suppressed
	case a.Shelf != Unshelved:
		return Shelved
	case a.Present && !a.Acked:
		return Active
	case a.Present:
		return Acknowledged
	case !a.Acked:
		return Cleared
	}
	return Normal
}
