// Package run is the processors' job: it gives internal/stream a task that
// folds readings and line events through the pure packages and makes the
// results durable in ClickHouse and on Kafka.
//
// # What a batch leaves behind
//
// In ClickHouse: a row in readings for each reading that is no copy, a row in
// line_events for each event, rows in anomalies and oee_parts; each table by
// one insert under a token made of table, topic id, partition, offsets and the
// job's generation. On Kafka: anomalies, OEE parts and dead letters, with ids
// derived from their source, at least once.
//
// # Failure behaviour
//
// What ClickHouse or Kafka can't take now is tried again until it can; the
// slot's queue fills and its partitions are paused. A record that can't be
// decoded, and a state event older than its line's horizon, goes to the dead
// letters with the reason. A sensor or line that the directory doesn't know
// (any more) is processed without limits and rates: its reading was accepted.
//
// # Limits
//
// Limits and ideal rates come from the directory at the time a record is
// folded. A change of them between a crash and the repetition of the batch that
// was pending can change what the repetition finds, not what it counts.
package run
