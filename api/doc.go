// Package api is the management API: master data, identity, events, alarms, the
// read models of readings, anomalies, OEE and stops, and the live stream (package
// live).
//
// Routes are declared in one file a resource, each with the roles that may call
// it; the document at /api/openapi.json is made from the same declarations, so
// what isn't there isn't served, but for the pages that show the document. The
// tenant comes from the token or key alone.
//
// Promises. Another tenant's thing is a 404, whatever its id. An error is
// application/problem+json with a stable type; a server fault tells nothing of
// the inside. Lists are keyset pages whose cursor is bound to tenant, route,
// filter and sort. A change names the version it is made from (If-Match) and a
// repeated POST with the same Idempotency-Key gets the first answer again. Where the
// POST is one change of master data, change and answer are one transaction, so that
// holds across crashes too; a request that died before it left nothing, and its key
// is free again two minutes later. Other answers are stored beside what was done,
// before they go out: readings and states have an identity of their own (one without
// a time gets another with each try), jobs and tenants their keys. What is recorded
// through the API answers after Kafka's ack, and keeps the rules and quotas of ingest
// (package intake). Every time is UTC with milliseconds. Every body of the document
// has an example that its schema accepts, and a change of the document that breaks
// clients fails the tests until someone says that it may.
//
// Failure. With Postgres away, readings, anomalies and OEE are served and the
// rest answers 503; with ClickHouse away the other way round.
//
// Non-obvious. huma's default error echoes the rejected value, passwords too, and
// its default hooks add a schema link to each answer; both are off here. Its
// error constructor is a variable of that package, so it is set once a process.
package api
