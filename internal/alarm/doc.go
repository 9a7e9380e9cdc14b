// Package alarm is the state machine of one alarm, after ISA-18.2 / IEC 62682 as
// OPC UA Part 9 encodes it.
//
// An alarm belongs to one limit of one sensor and lives as long as that does. It
// holds facts that move apart from one another: whether the condition is there
// (active), whether a person has seen it (acknowledged), whether a person put it
// aside for a time or until it clears (shelved), whether the plant's state makes
// it meaningless (suppressed by design), and whether it is taken out of service.
// State names what a person sees of these, the strongest first.
//
// # Promises
//
// Apply changes an alarm only by a legal transition, and names it; what is not
// legal changes nothing and says why. Conditions come from a stream that can
// repeat itself: folding a stretch of it again changes nothing. What is a repetition
// is told by the place of the reading on Kafka, at or before the last one of its
// partition, never by the device's clock, which may have been fast; by that only
// where the place isn't known. End ends a condition of which the stream will say
// nothing more, and begins an epoch: what was found under an earlier one counts no
// longer, and nothing is a repetition yet of what is found under it. A new occurrence is
// always unacknowledged. Shelving, suppression and being out of service hide an
// alarm, they never stop its condition from being followed: when they end, it
// shows what holds then. Timed shelves end by Tick.
//
// Chatter says which of an alarm's transitions to tell where there are too many for
// anyone to follow; it changes no alarm.
//
// # Limits
//
// There is no confirmed and no latched state yet, no priority and no first-up;
// an alarm has room for them. The package is pure: no clock, no I/O.
package alarm
