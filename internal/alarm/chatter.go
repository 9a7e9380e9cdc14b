package alarm

import "time"

// ChatterWindow and ChatterTold are how often an alarm may come and go and each time
// be told: more than ten times a minute no person follows. ISA-18.2 calls an alarm
// chattering from three times a minute on.
const (
	ChatterWindow = time.Minute
	ChatterTold   = 10
)

// Chatter counts the transitions of one alarm that were told lately, and those that
// were folded: made, and not told each. The zero value has told none.
type Chatter struct {
	Since  int64 // when the minute began that Told is of, by the server's clock
	Told   int64
	Folded int64 // since the last that was told
}

// Tells takes a transition at the server's time now and says whether to tell it;
// what is not, is folded. Folding begins with a clear, so that for as long as it
// lasts the alarm shows as raised to whoever follows the events: of the two that is
// the safe error. It ends by the next transition after the minute, or by Flush, and
// goes on after that while the alarm goes on.
func (c *Chatter) Tells(present bool, now int64) bool {
	over := now >= c.Since+ChatterWindow.Milliseconds() || now < c.Since
	switch {
	case over && c.Folded == 0:
		c.Since, c.Told = now, 0
	case over:
		c.Since, c.Told = now, ChatterTold
	case c.Folded > 0 || c.Told >= ChatterTold && !present:
		c.Folded++
		return false
	}
	c.Told++
	return true
}

// Flush is called when what was folded is told.
func (c *Chatter) Flush(now int64) { *c = Chatter{Since: now, Told: ChatterTold} }
