package alarm

import "github.com/foodflow/foodflow/internal/plant"

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

// Place is where a reading lies on Kafka. TopicID is Kafka's own, since a topic that
// is made anew counts from 0 again.
type Place struct {
	TopicID   plant.ID `json:"topic_id"`
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
}

// Places are the last places of a condition, each of another partition, the newest
// first; behind those that there are, zero ones. Eight: a sensor is in a new partition
// after a move to another line, or with another number of partitions.
type Places [8]Place

// news takes a place and says whether it lies behind the one that is known of its
// partition. What is not is a repetition, and changes nothing.
func (p *Places) news(x Place) bool {
	i := 0
	for i < len(p)-1 && !p[i].TopicID.IsZero() && (p[i].TopicID != x.TopicID || p[i].Partition != x.Partition) {
		i++
	}
	if p[i].TopicID == x.TopicID && p[i].Partition == x.Partition && x.Offset <= p[i].Offset {
		return false
	}
	copy(p[1:i+1], p[:i])
	p[0] = x
	return true
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
	// Seen is the time of the reading that said something of the condition last,
	// Places where it and others before it lie, and Epoch what counts; see doc.go.
	Seen        int64
	Epoch       int64
	Places      Places
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
