// Package directory is master data as the hot path needs it: tenants, lines,
// sensors, calendars, products and API keys, held in memory and looked up
// without a lock.
//
// The truth lies in Postgres. Each change is written there together with an
// outbox row; the relay puts the current state of the changed thing on the
// compacted topic foodflow.directory.v1, and a Follower in each process applies
// it to that process's Store. So ingest, the processors and the API know a
// change within a second, and none of them asks Postgres on the hot path or
// stops with it.
//
// Promises. A lookup takes no lock and allocates nothing; what it returns is
// immutable and may be kept. A newer version is never replaced by an older one.
// Authenticate compares in constant time, takes as long for a key that doesn't
// exist, and refuses a revoked or expired key from the moment the entry is
// applied: nothing is cached that a revocation would have to reach.
//
// Revoked says the same of access tokens, which nobody looks up: of a user who was
// deleted, deactivated or given another role or password, and of a log-in that
// was ended. masterdata takes such entries back when the tokens have ended.
//
// Using notes at most once a minute that a key is used, for package keyuse to
// tell; in between it is one comparison.
//
// Limits. One sensor costs about 400 bytes. Iteration visits everything and is
// for start-up and tests.
//
// Failure. A record that can't be decoded is counted and skipped: the entry
// before it stays in force, which is better than a directory that stops. A
// registry that can't be asked is waited for.
package directory
