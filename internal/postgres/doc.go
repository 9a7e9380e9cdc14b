// Package postgres is how FoodFlow reaches Postgres: a pool, and transactions
// that belong to one tenant.
//
// Each tenant has a schema and a database role of its own. InTenant opens a
// transaction, sets search_path and role with SET LOCAL, and runs the caller's
// function in it. Both settings end with the transaction, whatever ends it, so a
// connection never carries a tenant over to its next user, also behind a
// PgBouncer in transaction mode, whatever its version: Config.Direct then names
// Postgres itself, for the few things that need a session. The role is the
// second wall: it holds rights on its own schema only, so a statement that names
// another schema is refused by the database even where the code is wrong.
//
// Hold leaves such a transaction open until its holder has something to add to it.
//
// A replica, where one is named, answers reads whose context allows it
// (AllowReplica, ReadTenant), while it is at most Config.ReplicaLag behind. It is
// not asked while the primary can't be: how old it is can't be known then. A
// change whose maker may read next (Followed, Settle) is answered once no process
// reads the replica without it: within milliseconds, or, while the replica is
// behind or away, after ReplicaLag.
//
// Failure. Connect errors, shutdowns and exhausted pools become
// fault.Unavailable; every other error is returned as it is, wrapped.
//
// Non-obvious. pgx caches prepared statements per connection, and the same text
// means different tables under different search paths. Postgres analyses a cached
// statement again whenever search_path differs from the one it was analysed
// under (RevalidateCachedQuery), which TestConnectionCarriesNoTenantOver holds.
package postgres
