package letter

import (
	"time"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// The states of a letter. The last two are those of marks, as the schema has them.
const (
	Waiting  = "waiting"
	Claimed  = "claimed"
	Replayed = "replayed"
)

// again is the mark that claims a letter which was replayed. It is another one, so
// that a claim made in the belief that the letter waits, or is in doubt, doesn't
// hold when the word that it was replayed came in between.
const again = "again"

// longestLease bounds what a mark may say: a strange one must not lock a letter.
const longestLease = time.Hour

// Fate is what became of a letter.
type Fate struct {
	State string
	// Run is the replay that has the letter or had it last.
	Run plant.ID
	// At is when it said so, by the broker's clock; zero for a letter that waits.
	At time.Time
	// since and runs are of a claimed letter: its first claim since it last waited
	// or was replayed, and all who have had it from then on.
	since time.Time
	runs  []plant.ID
	lease time.Duration
}

// free is when another replay may follow the claim.
func (f *Fate) free() time.Time { return f.At.Add(f.lease + f.lease/2) }

// until is the end of the claim for what is published under it.
func (f *Fate) until() time.Time { return f.At.Add(f.lease) }

// Book is what became of letters, by their marks in the order of the topic. It
// holds some hundred bytes for each letter that has a mark.
type Book struct{ fates map[plant.ID]*Fate }

// NewBook makes an empty one.
func NewBook() *Book { return &Book{fates: map[plant.ID]*Fate{}} }

// Of gives the fate of a letter.
func (b *Book) Of(id plant.ID) Fate {
	if f := b.fates[id]; f != nil {
		return *f
	}
	return Fate{State: Waiting}
}

// Enter takes the next mark, stored at that time. A mark that doesn't hold changes
// nothing: a claim of a letter that another has, or had in between; a replay's
// word about a letter that went on to another.
func (b *Book) Enter(id plant.ID, m *schemas.LetterMark, stored time.Time) {
	f := b.Of(id)
	switch m.State {
	case Claimed, again:
		if m.After != f.Run || m.Run == f.Run || (m.State == again) != (f.State == Replayed) ||
			f.State == Claimed && stored.Before(f.free()) {
			return
		}
		if f.State != Claimed {
			f.since, f.runs = stored, nil
		}
		f.State, f.Run, f.At = Claimed, m.Run, stored
		f.lease = time.Duration(min(max(m.LeaseMS, 0), longestLease.Milliseconds())) * time.Millisecond
		f.runs = append(f.runs[:len(f.runs):len(f.runs)], m.Run)
	case Replayed:
		if f.State != Claimed || m.Run != f.Run {
			return
		}
		f.State, f.At = Replayed, stored
		f.runs = nil
	default:
		return
	}
	b.fates[id] = &f
}
