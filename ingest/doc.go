// Package ingest is where readings and line events come in: it decodes what a
// producer sent, holds it to the rules, resolves tenant, sensor and line by the
// directory, and publishes it on Kafka.
//
// # What it promises
//
// An answer of success is given only after Kafka acknowledged every record
// (acks from all in-sync replicas, idempotent producer). A request is all or
// nothing in what is validated: one bad item refuses all, unless the producer
// asks for partial acceptance. Where an answer is not success, nothing is
// promised: the producer sends again, and the processors drop copies by the
// identity of a reading (sensor, ts, seq; without seq: sensor, ts, value) and
// of an event (its id).
//
// # Limits
//
// Bodies, decoded bytes, items, nesting and the bytes in flight are bounded
// (Limits); past them the answer is 413, 429 or 503 with Retry-After. A time
// later than Limits.Bounds.Future from now, or older than Limits.Bounds.Past, is refused: the
// device's clock is wrong, or the store would drop the reading at once.
//
// # Fairness
//
// A tenant and a key may have quotas in items and bytes a second (Quotas for
// all, the directory for one). A request past them is 429, as far as can be told
// before its body is read; what was read is charged, accepted or not. Whatever
// the quotas, one tenant holds at most Quotas.TenantShare of the bytes in
// flight. Limits: quotas are counted in each process, so behind a balancer a
// producer may get as many times its quota as there are processes.
//
// The packages httpin and mqttin are the two doors, kafkaout is the way out.
package ingest
