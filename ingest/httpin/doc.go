// Package httpin is the HTTP door of ingest: POST /v1/readings and
// POST /v1/line-events with an API key in X-API-Key.
//
// Bodies are JSON, NDJSON or Avro containers, plain or in gzip or zstd. The
// answer is 202 after Kafka's ack, or a problem that names item, field and rule.
// With ?partial=true the good items are accepted and the bad ones listed.
//
// What the head alone shows to be wrong is refused before the body is read: key,
// Content-Type, Content-Encoding, ?partial, declared length, used-up quota.
//
// Idempotency-Key: a request that was accepted is answered the same way again
// without being published. One that comes while the first under its key runs
// waits for it and gets its answer; if the first fails, the next is tried. The
// same key with another body, format or ?partial is 422. Keys belong to an API
// key and are kept in the process's memory (Config.Keys of them, in
// Config.KeyBytes, Config.KeyTTL long; one that runs is never forgotten); across
// processes and restarts it is the processors that drop copies.
package httpin
