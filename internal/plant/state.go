package plant

// State is a PackML state of a line (ANSI/ISA-TR88.00.02), refined after the
// Weihenstephan Standards for what an operator of a food line names apart.
type State uint8

// The states; the numbers are stored, new ones go to the end.
const (
	StateUndefined State = iota
	StateStopped
	StateStarting
	StateIdle
	StateSuspended // external cause
	StateExecute   // producing
	StateStopping
	StateAborting
	StateAborted
	StateHolding
	StateHeld // internal cause
	StateUnholding
	StateSuspending
	StateUnsuspending
	StateResetting
	StateCompleting
	StateCompleted
	StateClearing
	StateLack          // starved: nothing comes in
	StateTailback      // blocked: nothing gets away
	StateCIP           // cleaning in place
	StateChangeover    // setup for another product or format
	StateAllergenClean // cleaning between allergens
	StateMaintenance   // planned work by maintenance (unit mode Maintenance)
)

// States lists the names in order of their numbers, as they stand in events.
func States() []string {
	return []string{
		"UNDEFINED", "STOPPED", "STARTING", "IDLE", "SUSPENDED", "EXECUTE",
		"STOPPING", "ABORTING", "ABORTED", "HOLDING", "HELD", "UNHOLDING",
		"SUSPENDING", "UNSUSPENDING", "RESETTING", "COMPLETING", "COMPLETED",
		"CLEARING", "LACK", "TAILBACK", "CIP", "CHANGEOVER", "ALLERGEN_CLEAN",
		"MAINTENANCE",
	}
}

// String names the state.
func (s State) String() string { return nameOf(States(), int(s)) }

// ParseState reads a name.
func ParseState(s string) (State, bool) {
	i, ok := indexOf(States(), s)
	return State(i), ok
}

// Class gives the class of the time ledger that a line is in by its state alone.
// A stop by an internal cause is own: whether it is a minor stop or a breakdown
// is a matter of its length, whether it was planned one of its reason.
func (s State) Class() (c TimeClass, own bool) {
	switch s {
	case StateExecute:
		return ClassRunning, false
	case StateLack, StateSuspended, StateSuspending, StateUnsuspending:
		return ClassStarved, false
	case StateTailback:
		return ClassBlocked, false
	case StateCIP:
		return ClassCIP, false
	case StateAllergenClean:
		return ClassAllergenClean, false
	case StateChangeover, StateStarting, StateResetting:
		return ClassSetup, false
	case StateIdle, StateCompleting, StateCompleted, StateMaintenance:
		return ClassPlannedStop, false
	case StateUndefined:
		return ClassNoSignal, false
	case StateStopped, StateStopping, StateAborting, StateAborted, StateHolding, StateHeld, StateUnholding, StateClearing:
	}
	return ClassMinorStop, true
}

// DefaultMinorStopMS is the longest minor stop where a line says nothing else.
const DefaultMinorStopMS = int64(5 * 60_000)
