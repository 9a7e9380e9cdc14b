// Package schemas is what FoodFlow's Kafka records look like: the published
// Avro schemas and the codec between them and the plant's nouns.
//
// A record's value is in Confluent framing: a zero byte, the schema's id in the
// registry as four bytes big endian, the Avro body.
//
// Schemas live in avsc/<name>/v<N>.avsc. A version that was ever released never
// changes (a test holds its fingerprint); a new one must be able to read
// everything every older one wrote (BACKWARD_TRANSITIVE).
//
// The codec encodes and decodes readings and line events by hand, because they
// are the hot path; every other record, and every record written under another
// schema than this program's newest, goes through twmb/avro, which resolves the
// writer's schema against ours. Decoding takes hostile input: it returns
// ErrFrame, ErrUnknownSchema or ErrBody and never reads past its input.
//
// This is the only package that imports an Avro library.
package schemas
