// Package facts raises domain events from the stream: AnomalyDetected from
// anomalies, ScrapDetected from OEE parts, LineDowntime from line events.
//
// Promises. Each fact is stored in the tenant's event store and leaves by the
// outbox like every other event. Its id derives from what it is about (an
// minute of excursions, a line's minute, a line event), so reading a record again, or its
// source replayed, raises nothing twice.
//
// What is remembered of lines is let go of when partitions move: another process
// has seen to them in between.
//
// Limits. An excursion raises one event, however many readings show it, and those of
// one sensor and kind that begin in the same minute of its clock raise one together:
// each of them is in foodflow.anomalies.v1. Scrap is
// raised a minute and product at a time. A line's downtime is raised when it
// enters a stop of its own (Holding, Held, Aborting, Aborted) from anything else;
// after a restart or a rebalance the first such state is raised although the line
// may have been down before. Scrap of a count from before the horizon of the
// ledger is named by its record, so it is raised again where the processors repeat
// that after a crash.
//
// Failure. As package follow says; a fact that is refused is passed over.
package facts
