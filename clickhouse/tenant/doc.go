// Package tenant is what ClickHouse holds of one tenant, as a whole: counted,
// read out, deleted.
//
// The tables are found, not listed: every table of the database that stores rows
// and has a column tenant_id. So a table that is added later is not forgotten.
//
// Delete is a mutation that is waited for on all replicas: the parts are written
// anew without the rows. ClickHouse removes the former parts from the disk some
// minutes later (old_parts_lifetime, eight by default); no query reads them.
package tenant
