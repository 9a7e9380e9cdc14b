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
// A row that Kafka refuses for what it is (too large, not a record) is set aside
// whole, in outbox_refused, with an error in the log, a metric and a finding of
// the doctor; outbox_retry() puts it back. What comes behind it goes on, that of
// its own aggregate too: every row holds the whole thing after its change, so the
// next is worth no less without it, the gap shows in ce_sequence, and to wait
// would hold up the revocation of a key. An entry of the directory that was set
// aside is forgotten once a newer one of its thing has gone out. masterdata lets
// nothing be stored that the topics' bounds don't take, so this is for topics that
// someone has given smaller ones; there the good rows of a refused batch go out
// again one by one, and may so come behind a later row of their aggregate.
//
// Failure. Postgres or Kafka down: the relay tries again, and the outbox grows
// meanwhile. Kafka's ack lost: the rows go out again. A relay that is cut off
// from Postgres while Kafka takes its records may deliver them once more after
// another relay's; readers of the directory ignore a version older than theirs.
package outbox
