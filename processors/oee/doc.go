// Package oee turns a line's events into OEE parts per minute.
//
// # Ledger
//
// Every instant of a line lies in one time class. Between two state events the
// line is in the first one's state; Class maps states to classes. A stop for an
// internal cause is a minor stop while it is shorter than Config.MinorStopMS
// and a breakdown once it is longer, as a whole and from its beginning. A line
// that gave no sign (event or reading) for longer than Config.SilenceMS is in
// no_signal from then until the next one. Time that Config.Planned names as not
// scheduled or planned is that, whatever the state, unless the line ran.
//
// # Parts
//
// A minute is closed when the line's watermark, the newest device time it has
// shown, is LatenessMS past its end. Then its first part goes out. Whatever
// changes a closed minute later (a late event, a stop that outgrew the limit)
// gives a revision with the difference only, so the sum of a minute's parts is
// always its current figure, and any order of arrival within the horizon gives
// the same sums. Line.Event and Line.Signal only take in; Line.Advance, called once
// a batch, computes each minute that has changed once.
//
// Run time (APT) is running and minor stops, since a minor stop is a loss of
// performance; busy time (PBT) is all but unscheduled, planned stops and
// no_signal. Ideal time is units over the ideal rate of their product.
//
// # Limits
//
// A silence is told for three days. What is longer is time that the ledger does
// not know, as it is before a line's first sign.
//
// The horizon is 120 minutes behind the watermark. Older counts are added to
// their minute by a part of their own, one a batch; an older state event can't be placed any more
// and is refused with ErrLate, for the dead letters. A copy of a count is known
// within the horizon, and beyond it while it is among the last 16,384 that left
// it. A line that sends more than 240,000 events within the horizon has its
// further counts added like old ones: their product is the one they name.
package oee
