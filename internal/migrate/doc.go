// Package migrate brings Postgres to the schema this program needs: first the
// installation's own schema, then each tenant's.
//
// Promises. Any number of processes may start at once: a session lock a schema
// lets one of them work while the others wait and then find nothing to do; each
// migration is applied once. Each is a transaction together with its row of
// versions, so a process that is killed leaves every schema at a version, and the
// next run does what is left. A tenant that fails doesn't stop the others. Status
// names every schema that lags, with what went wrong at the last try, and so do
// the error of a run and foodflow doctor. Down undoes what Up did.
//
// A tenant's schema, its database role and that role's rights are made here too,
// because they must be there before its first migration and be brought up to date
// after each.
//
// Measured on two busy cores, four at a time, Postgres without fsync: a thousand
// tenants are made in 90 ms each and found up to date in 1 ms each (TestManyTenants).
//
// Session locks need a session: behind PgBouncer in transaction mode give
// migrate the address of Postgres itself.
package migrate
