// Package embedded runs a Kafka-compatible broker for one machine: franz-go's
// kfake on a data directory.
//
// It promises that an acknowledged record is there after kill -9 of its process
// (the page cache outlives a process), and after a restart of the machine if
// Config.Sync is set. It keeps consumer groups with their commit metadata, and
// retention and compaction work as on Kafka.
//
// It has one broker and no replication, so it does not survive the loss of its
// disk. After kill -9 it has forgotten the sequences of idempotent producers:
// a producer's retry across the crash can store a record twice. The processors'
// anti-replay windows and event ids make that invisible in the results.
package embedded
