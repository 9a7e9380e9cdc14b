// Package doctor looks for what is wrong with an installation and says what it
// means and how to mend it. It holds the form of a finding, the running of
// checks, and the checks of the machine itself; what is to be looked for in a
// store is known by the package that speaks to it (Checkup in internal/broker,
// internal/postgres, internal/migrate, clickhouse/ddl, schemas/registry).
//
// Checks run side by side, each within its time; one that doesn't end in time is
// a finding itself. They change nothing.
package doctor
