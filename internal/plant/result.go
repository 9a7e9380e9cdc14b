package plant

// AnomalyKind names what a detector found.
type AnomalyKind uint8

// The kinds; the numbers are stored, new ones go to the end. Limit kinds carry
// the names of ISA-18.2 (LL, L, H, HH); the others come from what was learnt of
// the sensor.
const (
	AnomalyDeviation AnomalyKind = iota // far from what the sensor's history expects
	AnomalyFlatline                     // unchanged for longer than is its habit
	AnomalyLimitLL
	AnomalyLimitL
	AnomalyLimitH
	AnomalyLimitHH
	AnomalyRange // outside what the instrument can measure
	AnomalyRate  // changes faster than allowed
)

// AnomalyKinds lists the kinds by name, in order of their numbers.
func AnomalyKinds() []string {
	return []string{"deviation", "flatline", "limit_ll", "limit_l", "limit_h", "limit_hh", "range", "rate"}
}

// String names the kind.
func (k AnomalyKind) String() string { return nameOf(AnomalyKinds(), int(k)) }

// ParseAnomalyKind reads a name.
func ParseAnomalyKind(s string) (AnomalyKind, bool) {
	i, ok := indexOf(AnomalyKinds(), s)
	return AnomalyKind(i), ok
}

// Anomaly is one finding about one sensor: what was expected, what came, since
// when, how sure.
type Anomaly struct {
	// ID derives from sensor, kind and the source's position, so that a replay
	// finds the same anomaly under the same id.
	ID     ID
	Tenant ID
	Line   ID
	Sensor ID
	Kind   AnomalyKind
	TS     int64   // of the reading that showed it
	Since  int64   // ts of the first reading of the excursion
	Value  float64 // what came
	// Expected is the centre of what was expected; for a limit, the limit.
	Expected float64
	Score    float32 // 0 to 1, comparable between sensors
	// Partition and Offset place the source reading on foodflow.readings.v1, as
	// Kafka knows it by TopicID: a topic made anew has another. Zero: an older
	// program wrote this, and Epoch isn't known either.
	TopicID   ID
	Partition int32
	Offset    int64
	// Ended marks no finding but the end of one: the value keeps the limit again.
	// Findings that were learnt have none.
	Ended bool
	// Epoch is the sensor's under which this was found; see directory.Sensor.
	Epoch int64
}

// IsLimit says that the kind comes from what the owner set, not from what was
// learnt: such a finding is an alarm and has an end.
func (k AnomalyKind) IsLimit() bool { return k >= AnomalyLimitLL && k <= AnomalyRate }

// TimeClass is the class of the time ledger that an instant of a line lies in.
type TimeClass uint8

// The classes; the numbers are stored, new ones go to the end. They exclude
// one another: the classes of a window sum to the window.
const (
	ClassNoSignal TimeClass = iota
	ClassUnscheduled
	ClassPlannedStop
	ClassSetup
	ClassCIP
	ClassAllergenClean
	ClassBreakdown
	ClassMinorStop
	ClassStarved
	ClassBlocked
	ClassRunning
	NumTimeClasses = int(ClassRunning) + 1
)

// TimeClasses lists the classes by name, in order of their numbers.
func TimeClasses() []string {
	return []string{
		"no_signal", "unscheduled", "planned_stop", "setup", "cip",
		"allergen_clean", "breakdown", "minor_stop", "starved", "blocked",
		"running",
	}
}

// String names the class.
func (c TimeClass) String() string { return nameOf(TimeClasses(), int(c)) }

// ParseTimeClass reads a name.
func ParseTimeClass(s string) (TimeClass, bool) {
	i, ok := indexOf(TimeClasses(), s)
	return TimeClass(i), ok
}

// ReasonClass gives the class of time that a stop reason stands for which every
// tenant has without saying so; false: none.
func ReasonClass(reason string) (TimeClass, bool) {
	switch reason {
	case "break", "meal", "no_orders":
		return ClassPlannedStop, true
	}
	return 0, false
}

// OEEPart is a change of one line's figures for one minute and product: the
// parts from which every OEE figure is a ratio of sums, never a percentage.
// A minute's first part holds its figures; a later fact adds a part with the
// next Revision that holds only the difference, so the sum over the parts of a
// minute is always the minute's current figure.
type OEEPart struct {
	Tenant   ID
	Line     ID
	Minute   int64 // start of the minute, Unix milliseconds UTC
	Product  string
	Revision uint32 // 0 first
	Unit     string
	// TimeMS is the time in each class, indexed by TimeClass, milliseconds; the
	// parts of a closed minute sum to 60,000 over its products.
	TimeMS [NumTimeClasses]int64
	// PlannedBusyMS (PBT) and RunMS (APT) follow from TimeMS under the policy.
	PlannedBusyMS int64
	RunMS         int64
	// IdealTotalMS and IdealGoodMS are the ideal time for what was made, and
	// for what was made well, milliseconds.
	IdealTotalMS float64
	IdealGoodMS  float64
	Total        float64 // units, Good + Scrap
	Good         float64
	Scrap        float64
	StartupScrap float64
	Rework       float64
	Policy       uint32 // version of the policy the parts were computed under
}
