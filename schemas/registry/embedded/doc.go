// Package embedded is a Confluent-compatible Schema Registry for one machine:
// the part of its REST interface that producers and consumers use, on a file.
//
// It promises that an id is never given to another schema: the file is synced
// before the id is answered. It knows Avro only, and no contexts, references or
// soft deletion.
package embedded
