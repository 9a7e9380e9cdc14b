// Package snapshot keeps the states of slots on foodflow.processor-state.v1:
// partition p of it belongs to slot p. A state is a run of chunks; the offsets
// of the run are what the slot's ledger names, so loading reads just those.
//
// Keys are unique, so compaction never removes a chunk that a ledger names; what
// no ledger names any longer is removed by DeleteRecords, as far as no chunk of
// another group stands there, and left to compaction behind one. The last snapshot
// of a group that is given up stays, until an operator removes it
// (kafka-delete-records).
package snapshot
