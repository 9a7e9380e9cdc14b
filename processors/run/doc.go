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
// # How a batch is folded
//
// Events go into their lines' ledgers as they come. Readings are decoded and
// staged, and taken when the batch is closed: sensor by sensor through the
// anti-replay window, the detector and the minute, in the order in which table
// readings is sorted; then once more in order of arrival, as signs of life for
// the lines. A sensor's state is fetched from memory once a batch rather than
// once a reading, and ClickHouse finds the rows sorted. The result depends on
// the batch's bounds alone, as internal/stream asks.
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
// Limits and ideal rates come from the directory at the time a batch is
// folded. A change of them between a crash and the repetition of the batch that
// was pending can change what the repetition finds, not what it counts.
package run
