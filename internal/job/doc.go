// Package job runs periodic and long work on Postgres, with progress to look
// at: making, exporting and deleting tenants, rotating signing keys, clean-ups.
//
// A Kind is a list of steps. A row of foodflow.jobs says which of them are done,
// what the next one has noted (its checkpoint), how far the work is and who
// holds it. River (github.com/riverqueue/river), whose only importer this
// package is, delivers: it wakes a worker somewhere, tries again after an error,
// and keeps the clock of periodic work through an elected leader. River's rows
// are cleaned up by River; ours stay for Config.Keep.
//
// # Promises
//
// A job that was asked for in a transaction runs if that transaction commits.
// It runs in one process at a time: the worker holds a lease that it renews,
// each of its writes names the lease, and when it can't renew in time its
// context ends before the lease does. After kill -9 another worker goes on where
// the row says, when the lease is over; a step that was under way begins again
// with its checkpoint, so a step must be idempotent. Of two requests for the
// same kind and tenant the second joins the first while that is open.
//
// # Failure behaviour
//
// An error of a step is tried again with growing pauses, Config.MaxAttempts
// times; a fault that trying again can't mend (not found, conflict, invalid)
// fails the job at once. What a row shows of an error is what a client may see;
// the log has the rest under the job's id. While Postgres is away nothing runs;
// what ran stops before its lease ends and is resumed.
//
// # Limits
//
// Jobs are looked for by polling, so that PgBouncer in transaction mode will do:
// a job starts within Config.Poll. One attempt may take a day; a longer one is
// interrupted and resumed.
package job
