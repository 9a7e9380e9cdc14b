package alarm

import (
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/plant"
)

// heard tells an alarm a story and gives what became of each part of it.
func heard(story ...Input) string {
	a, out := New(), []string{}
	for _, in := range story {
		names, _ := a.Apply(in, 0)
		out = append(out, strings.TrimPrefix(strings.Join(names, "+"), "Alarm"))
	}
	return strings.Join(out, " ")
}

// TestFastClockIsNoRepetition: a device's clock was nine minutes fast when its limit
// was passed and kept; then it was put right. What follows is news. So it is where
// the passing was told by the fast clock and the end by the right one.
func TestFastClockIsNoRepetition(t *testing.T) {
	const fast = 540_000
	for name, c := range map[string]struct {
		topic plant.ID
		want  [2]string
	}{
		"told by places":   {plant.ID{1}, [2]string{"Raised Cleared Raised", "Raised Cleared"}},
		"control: by time": {plant.ID{}, [2]string{"Raised Cleared ", "Raised "}},
	} {
		at := func(action Action, offset, ts int64) Input {
			return Input{Action: action, At: ts, Since: ts, Place: Place{c.topic, 3, offset}}
		}
		if got := heard(at(Raise, 1, 1000+fast), at(Clear, 2, 2000+fast), at(Raise, 3, 4000)); got != c.want[0] {
			t.Errorf("%s: %q", name, got)
		}
		if got := heard(at(Raise, 1, 1000+fast), at(Clear, 2, 2000)); got != c.want[1] {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestPlaces: what lies at or before the last place of its partition is a repetition;
// of another partition, of a topic made anew, it is not; nor is what a newer epoch
// says, while an older one says nothing any more.
func TestPlaces(t *testing.T) {
	at := func(action Action, topic byte, partition int32, offset, epoch int64) Input {
		return Input{Action: action, At: 5, Since: 5, Place: Place{plant.ID{topic}, partition, offset}, Epoch: epoch}
	}
	for name, c := range map[string]struct {
		story []Input
		want  string
	}{
		"said again":             {[]Input{at(Raise, 1, 0, 7, 0), at(Clear, 1, 0, 9, 0), at(Raise, 1, 0, 7, 0), at(Clear, 1, 0, 9, 0), at(Raise, 1, 0, 10, 0)}, "Raised Cleared   Raised"},
		"another partition":      {[]Input{at(Raise, 1, 0, 7, 0), at(Clear, 1, 1, 2, 0), at(Raise, 1, 0, 7, 0), at(Raise, 1, 0, 8, 0)}, "Raised Cleared  Raised"},
		"a topic made anew":      {[]Input{at(Raise, 1, 0, 7, 0), at(Clear, 2, 0, 0, 0), at(Raise, 1, 0, 7, 0), at(Raise, 2, 0, 1, 0)}, "Raised Cleared  Raised"},
		"an epoch that is over":  {[]Input{at(Raise, 1, 0, 7, 0), {Action: End, Since: 6, Epoch: 1}, at(Raise, 1, 0, 8, 0), at(Raise, 1, 0, 9, 1)}, "Raised Cleared  Raised"},
		"said again in an epoch": {[]Input{at(Raise, 1, 0, 7, 0), at(Clear, 1, 0, 9, 0), at(Raise, 1, 0, 8, 1), at(Raise, 1, 0, 8, 1), at(Clear, 1, 0, 9, 0)}, "Raised Cleared Raised  "},
		"the place of no change": {[]Input{at(Raise, 1, 0, 7, 0), at(Raise, 1, 0, 9, 0), at(Clear, 1, 0, 8, 0)}, "Raised  "},
		"no place, by time":      {[]Input{at(Raise, 1, 0, 7, 0), {Action: Clear, At: 5, Since: 5}, {Action: Clear, At: 6, Since: 6}}, "Raised  Cleared"},
	} {
		if got := heard(c.story...); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestPlacesAreBounded: of more partitions than places the newest are known.
func TestPlacesAreBounded(t *testing.T) {
	var p Places
	for i := range int32(2 * len(p)) {
		if !p.news(Place{plant.ID{1}, i, 5}) {
			t.Fatalf("partition %d is a repetition", i)
		}
	}
	for i := range int32(2 * len(p)) {
		known := i >= int32(len(p))
		q := p
		if q.news(Place{plant.ID{1}, i, 5}) == known {
			t.Errorf("partition %d: known %v", i, !known)
		}
	}
}
