package alarm

import (
	"strings"
	"testing"
)

// flap tells of transitions, raise first, so many milliseconds apart, and gives what
// was told of each: R or C, or a dot for what was folded.
func flap(c *Chatter, from, apart int64, n int) string {
	var out strings.Builder
	for i := range n {
		switch present := i%2 == 0; {
		case !c.Tells(present, from+int64(i)*apart):
			out.WriteByte('.')
			continue
		case present:
			out.WriteByte('R')
		default:
			out.WriteByte('C')
		}
		c.Folded = 0
	}
	return out.String()
}

// TestChatter: up to ten transitions a minute are all told; of more the last that is
// told is a raise, the others are folded until the minute is over, and the one then
// is told, as is the next raise.
func TestChatter(t *testing.T) {
	const start = int64(1_795_000_000_000)
	for name, c := range map[string]struct {
		apart int64
		n     int
		want  string
	}{
		"ten a minute":       {6_000, 12, "RCRCRCRCRCRC"},
		"eleven at once":     {0, 11, "RCRCRCRCRCR"},
		"many at once":       {0, 20, "RCRCRCRCRCR........."},
		"on and on, in even": {2_000, 64, "RCRCRCRCRCR...................R.............................R..."},
	} {
		if got := flap(new(Chatter), start, c.apart, c.n); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestChatterOfADay: an alarm that comes and goes ten times a second for a day, with
// the server asking each minute whether something is to be told, is told of in less
// than one in two hundred transitions, and none is lost of the count.
func TestChatterOfADay(t *testing.T) {
	const minutes, each = 24 * 60, 600
	var c Chatter
	told, counted := 0, int64(0)
	for m := range int64(minutes) {
		for i := range int64(each) {
			if c.Tells(i%2 == 0, 1_795_000_000_000+m*60_000+i*100) {
				told, counted, c.Folded = told+1, counted+1+c.Folded, 0
			}
		}
		if c.Folded > 0 && m%2 == 1 {
			told, counted = told+1, counted+c.Folded
			c.Flush(1_795_000_000_000 + m*60_000 + 59_999)
		}
	}
	if told > minutes*each/200 || counted+c.Folded != minutes*each {
		t.Errorf("told %d times of %d transitions, counted %d", told, minutes*each, counted+c.Folded)
	}
}

// TestChatterAndTheClock: a server's clock that is put back ends no telling for good.
func TestChatterAndTheClock(t *testing.T) {
	var c Chatter
	flap(&c, 2_000_000, 0, 20)
	if c.Folded == 0 || !c.Tells(true, 1_000_000) || !c.Tells(false, 1_000_000+ChatterWindow.Milliseconds()) {
		t.Errorf("%+v", c)
	}
}
