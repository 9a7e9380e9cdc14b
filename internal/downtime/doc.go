// Package downtime tells the stops of a line from its time ledger and its state
// events.
//
// The ledger (OEE parts by the minute) is the authority on how much time of each
// class a minute has; it alone knows calendar, silence and policy. The events are
// the authority on when a state began and for what reason. Walk lays the one over
// the other, so that the stops of any span of whole minutes sum, class by class,
// to the ledger of that span, to the millisecond.
//
// # Limits
//
// Where a minute changes its class without an event (a silence begins, a shift
// ends), what ran on from the minute before comes first and the rest last. That
// is where it was unless the class changed so twice within one minute; then the
// sums hold and the order within that minute is a guess. Minutes that the
// processors have not closed yet have no class and no stop.
//
// The package is pure: no clock, no I/O.
package downtime
