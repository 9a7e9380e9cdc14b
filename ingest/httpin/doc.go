// Package httpin is the HTTP door of ingest: POST /v1/readings and
// POST /v1/line-events with an API key in X-API-Key.
//
// Bodies are JSON, NDJSON or Avro containers, plain or in gzip or zstd. The
// answer is 202 after Kafka's ack, or a problem that names item, field and rule.
// With ?partial=true the good items are accepted and the bad ones listed.
//
// Idempotency-Key: a request that was answered is answered the same way again
// without being published; the same key with another body is 422. Keys are kept
// in the process's memory (Config.Keys of them, Config.KeyTTL long); across
// processes and restarts it is the processors that drop copies.
package httpin
