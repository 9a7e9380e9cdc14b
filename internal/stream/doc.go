// Package stream is the commit law as code: it consumes co-partitioned Kafka
// topics, hands each partition's records to the one goroutine that owns the
// partition's state, makes the results durable, and only then commits.
//
// # Slots
//
// The inputs of a job have the same number of partitions and the same record
// key. Partition p of all of them is slot p. A slot is given to one member of
// the group as a whole (Balancer), and one goroutine (worker) owns its state.
//
// # Batches
//
// Records wait in the slot's queue until a batch is closed, for one of five
// reasons: size, age, idle, revoke, stop. A batch is one offset range per input.
// Its records are folded input by input in the order of Config.Inputs, so the
// result depends on the bounds of the batches alone and not on how records of
// different topics happened to arrive.
//
// For each batch the worker
//
//  1. records the bounds as pending, in the metadata of an offset commit that
//     does not move the offset (the group's generation fences a zombie there);
//  2. folds the records into the task's state and output;
//  3. has the task flush its output durably, under names derived from the
//     bounds, so that a repetition is recognised;
//  4. commits the new offsets. Under load this commit carries the next batch's
//     pending bounds, so a batch costs one commit.
//
// # Recovery
//
// The commit metadata (Ledger) also holds the snapshot that recovery starts
// from and the bounds of every batch since. A new owner loads the snapshot,
// folds the batches up to the committed offset in silence, flushes the pending
// batch again with the same bounds, and goes on. Because bounds and order are
// the same, state and output are the same to the bit. Records that were set aside
// are named in the ledger, and not folded again: what refused them may be mended by
// then, and a record that only the state knows would make a copy of its replay. Of
// a batch with more than fifty separate ones they aren't named; a snapshot follows.
//
// # Failure behaviour
//
// A task reports three kinds of error. Transient errors of Flush are retried
// with backoff until they pass or the partition is taken away; meanwhile the
// queue fills and the partition is paused. A Poison error of Fold sets the
// record aside as a dead letter that the task flushes with the batch. Any other
// error is fatal: Run returns it and commits nothing, the process exits, Kafka
// delivers again.
//
// A snapshot that is gone costs accuracy, not records: the state is warmed up in
// silence from Config.Rewind records before the commit. Offsets that are gone
// while snapshots are there (Kafka forgets those of a group that was away for
// offsets.retention.minutes) end the job, since beginning anew would count every
// record twice; it goes on from offsets that an operator sets. Records that
// retention removed are not waited for.
//
// Offsets that the topics don't bear out end the job likewise, because what is
// written there is new and would be passed over as processed: a log that ends
// before what was committed or pending (put back from a backup, or cut by an
// unclean election; also when it has grown past it since, for the ledger names the
// leader epoch that was read under), a topic of another id, and records that come
// at offsets that were taken before.
//
// A revoked slot is given half the rebalance timeout to flush and commit. A
// lost slot is dropped without a commit.
//
// # Memory
//
// The client decodes fetches into memory that is used again; the poll loop
// copies the records into chunks without pointers and gives that memory back.
// What waits is so known to the byte, and the garbage collector doesn't walk it.
// A record's slices point into its chunk, which is used again once the batch is
// durable.
//
// # Limits
//
// Queues are bounded in bytes; a full queue pauses its partition and the poll
// loop never waits for a worker. A slot that is more than a batch behind the
// broker may keep batches open six times as long, since whole batches cost
// ClickHouse less. The ledger must fit Kafka's limit for commit
// metadata (4,096 bytes), so a snapshot is taken when it grows near it.
//
// # Non-obvious
//
// Offsets are committed by plain OffsetCommit requests with the generation read
// at each try, not by the client's own commit functions, which cancel one
// another when several workers commit at once. A worker is always stopped
// before its partition is let go, so a stale worker can't commit under the
// member's next generation.
package stream
