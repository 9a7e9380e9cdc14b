// Package tenancy is the long work on tenants, as kinds of jobs: making one,
// writing out all that is kept of one, deleting one with proof.
//
// Each step finds what an earlier, interrupted attempt has done.
//
// # Export
//
// One archive, a tar of gzipped files of one JSON object a line: every table of
// the tenant's schema as of one moment, every row of the tenant in ClickHouse by
// table and partition, and manifest.json with the counts and SHA-256 of each. What
// checks a secret (password and key hashes) is left out, and named as such. An
// interrupted export keeps the files that are whole.
//
// # Deletion
//
// Of a suspended tenant only, and for good from the first step on. What is
// accepted is let through to the stores first; then processors drop its state,
// the directory its entries, ClickHouse its rows, Postgres its schema, role and
// shared rows; then everything is counted once more. The report says what was
// found before and after, and of the topics that can only age out by when the
// last record is gone, by the broker's own settings. Reports are a chain of
// hashes, each signed with a key that follows from the installation's secret;
// they outlive the tenant. With the report TenantDeleted is queued, in one
// transaction; the tenant's event store is gone by then, so that event is on Kafka
// alone, under one id however often it comes.
//
// # Limits
//
// Backups, exports handed out and what other consumers took from Kafka are
// beyond the reach of a deletion; the report says so.
package tenancy
