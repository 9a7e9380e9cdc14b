// Package telemetry says what a process does to the outside, beside logs and
// metrics: traces by OpenTelemetry (OTLP over HTTP) and errors by Sentry. Both
// are off unless an address is given. It is the home of their libraries.
//
// # One trace
//
// A request is sampled or not when it comes in, and only a sampled one costs
// anything further. Its trace goes on in the record headers (W3C traceparent):
// the first record of a request and of each line in it carry one, so that a
// thousand readings of a request don't carry a thousand. The processors read
// them; a batch that holds such records is a span of the first request's trace,
// linked to all the others, with a span of its own in each of theirs, and the
// inserts below it. ClickHouse gets the header too. A caller of HTTP may bring a
// trace along; that it asks to be sampled is heeded some times a second, since
// anyone can ask. An MQTT message does so by its user properties, and its span
// lasts until it is acknowledged. A change of master data has its trace in the
// outbox: its event carries it on as CloudEvents' extension for it, and the
// relay's work is a span of that trace.
//
// Without a Tracer (nil) nothing is wrapped and nothing allocated.
//
// # What is never said
//
// Spans hold names of routes and tables, counts and statuses: no query, no
// header, no value, no statement's parameter. What goes to Sentry is a log line
// of level Error and a stack: of its attributes those on a list, with what looks
// like a key, token, password or quoted input taken out. There are no
// breadcrumbs, no host name, no environment.
package telemetry
