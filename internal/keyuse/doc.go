// Package keyuse tells when API keys were last used, whatever door they were
// shown at: the API, HTTP ingest, MQTT.
//
// A process's directory notes that a key is used, once a minute at most (see
// directory.Store.Using). A Reporter in each process that has a door publishes
// what was noted on foodflow.key-uses.v1; a Writer, a consumer group in the role
// that has Postgres, keeps the newest time of each key. So a use shows within a
// few seconds, or is at most a minute newer than what shows, and neither Postgres
// nor Kafka is on the way of a request.
//
// It is bookkeeping: a key's version, its events and the audit log don't know of
// it.
//
// Failure. With Kafka away the Reporter keeps the newest use of each key and
// publishes it afterwards; what it holds when its process is killed is told by
// the key's next use. With Postgres or the schema registry away the Writer waits,
// and Kafka keeps what comes. Reports of tenants and keys that are gone are
// dropped. A record that is no report becomes a dead letter.
package keyuse
