// Package masterdata is what a tenant says about its plant and its people:
// lines, sensors, products, batches, calendars, stop reasons, users, API keys.
// Postgres holds it, a schema a tenant.
//
// Promises. Each change writes, in one transaction, the thing, its domain event
// to the event store, a row of the audit log, and rows of the outbox from which
// the event reaches Kafka and the thing's new state reaches the directory. So
// what is stored is announced and nothing else is. An update names the version
// it was made from, or says that any will do; a wrong one is a
// fault.PreconditionFailed.
//
// Writers of one tenant go one after another (an advisory lock at the start of
// the transaction): the audit chain needs an order, deadlocks can't happen, and
// master data changes a few times a second at most. Readers never wait.
//
// What the stream brings is taken many at a time (Alarms.Hear, RaiseAll), in one
// transaction. Of an alarm that comes and goes more than ten times a minute each change
// counts in its row, and not each makes an event (alarm.Chatter).
//
// Failure. Broken rules are fault.Invalid with the field, taken keys and things
// still in use are fault.Conflict, what isn't there (or is another tenant's) is
// fault.NotFound, Postgres down is fault.Unavailable.
//
// The json and validation tags of the …Fields types are the form in which the
// API takes and documents them.
package masterdata
