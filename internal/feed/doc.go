// Package feed is the producer's side of ingest over HTTP (Client) and MQTT 5
// (MQTT), as a plant's gateway should be: it sends readings and line events, and sends them again, unchanged,
// until they are acknowledged.
//
// # Promises
//
// Readings and Events return nil only after the answer 202, or the PUBACK of
// each message. What was sent may
// have arrived more than once; the processors drop copies by the identity of a
// reading (sensor, ts, seq) and of an event (id), so callers give both.
//
// # Failure behaviour
//
// A broken connection, 429 and 5xx (over MQTT 0x97) are tried again with growing pauses (or after
// what Retry-After asks for) until the context ends. Any other answer is a fault
// of what was sent and comes back as *Refused, with the server's own words.
package feed
