// Package outbox carries what masterdata has committed to Kafka: directory
// entries to the compacted foodflow.directory.v1, domain events as CloudEvents
// in binary mode to foodflow.events.v1.
//
// Promises. Nothing committed is left out, nothing uncommitted goes out, an
// aggregate's events arrive in the order of their changes, each at least once; a
// consumer drops what it has by ce_id. A row leaves the outbox after Kafka's ack,
// in a transaction that holds an advisory lock, so one relay works at a time,
// whichever of any number takes the lock; when it dies its lock goes and its rows
// stay.
//
// Why it skips nothing. A reader that remembers the last id it saw loses the
// transaction that took a lower id and commits later; the usual cure is to read
// below pg_snapshot_xmin, which makes everyone wait for the longest writer. Here
// no position is remembered: what is committed and still in the table is due. An
// aggregate's rows are written under its tenant's lock, so their ids follow their
// commits, and reading by id keeps their order. The xid column stays for readers
// of the event store, who do remember a position.
//
// NOTIFY only wakes: the relay looks every Interval in any case. A PgBouncer in
// transaction mode passes no notifications, so it listens on Postgres itself.
//
// Failure. Postgres or Kafka down: the relay tries again, and the outbox grows
// meanwhile. Kafka's ack lost: the rows go out again. A relay that is cut off
// from Postgres while Kafka takes its records may deliver them once more after
// another relay's; readers of the directory ignore a version older than theirs.
package outbox
