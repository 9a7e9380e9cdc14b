// Package schemas is what FoodFlow's records look like outside the process: the
// published Avro schemas, the codec between them and the plant's nouns, and the
// reader of the Avro container files that producers send.
//
// Framing: a Kafka value is a zero byte, the schema's id in the registry as four
// bytes big endian (Confluent's framing), then the Avro body.
//
// Promises:
//   - A schema version that was released never changes (a test holds its
//     fingerprint) and every later one reads what it wrote
//     (BACKWARD_TRANSITIVE); golden bytes of each are read today to what they
//     said then.
//   - Decoding takes hostile input. It never panics, never reads past its input
//     and never believes a length: what a frame or a file makes it allocate is
//     bounded by what has arrived and by named limits.
//   - A decoded reading or line event is one that the store can hold: numbers
//     are finite, times lie between 1970 and 2299, texts are UTF-8 within their
//     bounds.
//   - "This record can never be decoded" (ErrFrame, ErrUnknownSchema, ErrBody)
//     and "not now" (ErrRegistry) are told apart, so that a record is set aside
//     in the first case only.
//   - Readings are encoded and decoded without an allocation, line events too
//     while their texts repeat.
//
// How: readings and line events are encoded and decoded by hand, because they
// are the hot path; every other record, and every record written under another
// schema than this program's newest, goes through twmb/avro, which resolves the
// writer's schema against ours. Flat schemas have a reader of their own: readings
// of other versions take it, and container files may have no other.
//
// Limits: 256 foreign schemas and 4,096 refused ids are remembered, the latter
// for 30 s; a foreign schema may weigh 4,096 types and 1 MiB; a container file
// is held to ContainerLimits. The order in which the codec checks is the order
// of the bytes, and only the first fault is told.
//
// Failure behaviour: with the registry out of reach, decoding under a schema
// that was met before goes on (schemas/registry keeps them on disk), under
// another it gives ErrRegistry after at most 5 s. NewCodec needs each of this
// program's schemas registered, now or earlier.
//
// Non-obvious: a symbol's index in the newest schema is the noun's number in
// internal/plant, so a state or quality is added to both, at the end. A frame
// has one form per value only as this program writes it: other writers may
// spend more bytes on a number, and their frames are taken.
//
// This is the only package that imports an Avro library. Its chapter is
// README.md.
package schemas
