// Package facts raises domain events from the stream: AnomalyDetected from
// anomalies, ScrapDetected from OEE parts, LineDowntime from line events.
//
// Promises. Each fact is stored in the tenant's event store and leaves by the
// outbox like every other event. Its id derives from what it is about (an
// excursion, a line's minute, a line event), so reading a record again, or its
// source replayed, raises nothing twice.
//
// Limits. An excursion raises one event, however many readings show it. Scrap is
// raised a minute and product at a time. A line's downtime is raised when it
// enters a stop of its own (Holding, Held, Aborting, Aborted) from anything else;
// after a restart the first such state is raised although the line may have been
// down before.
//
// Failure. Postgres away: records wait on Kafka. A record that can't be read is
// counted and passed over: the processors have put it on the dead-letter topic. A
// fact of a tenant that doesn't exist any more is counted and passed over.
package facts
