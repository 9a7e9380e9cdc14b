// Package migrate brings Postgres to the schema this program needs: first the
// installation's own schema, then each tenant's.
//
// Promises. Any number of processes may start at once: a session lock a schema
// lets one of them work while the others wait and then find nothing to do. A run
// that was cut short is resumed by the next: each migration is a transaction, and
// a schema that is up to date costs one query. Status names every schema that
// lags.
//
// A tenant's schema, its database role and that role's rights are made here too,
// because they must be there before its first migration and be brought up to date
// after each.
//
// Measured on two busy cores, four at a time: a thousand tenants are made in 0.15
// s each and found up to date in 20 ms each (TestManyTenants).
//
// Session locks need a session: behind PgBouncer in transaction mode give
// migrate the address of Postgres itself.
package migrate
