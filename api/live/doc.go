// Package live hands what happens on Kafka to clients that listen: anomalies,
// OEE parts, domain events, changes of alarms, and readings of chosen sensors.
//
// # Promises
//
// A listener gets its own tenant's messages only; the tenant is read from the
// record itself. What it gets is in order of the partition, so in order for each
// line and each aggregate. Each message but a reading has an id, which is the
// position on Kafka behind it: who comes back with the last one it saw gets
// everything since, once, before what is new (Resume). Where that can't be had,
// because retention removed it or it is too much, the listener is told so.
//
// A listener never holds up another: its messages wait in a buffer of a fixed
// number, and who lets it overflow is dropped. A tenant has a fixed number of
// listeners.
//
// # Limits
//
// Each process reads the topics whole, from the end at its start, so every
// process sees every message whichever of them a client reaches. Readings are
// read from the partitions of the chosen sensors only; they are sampled (the
// first of each interval), have no id and are not resumed.
//
// # Failure
//
// Kafka away: listeners wait; heartbeats go on. Stop ends every listener and
// tells it why.
package live
