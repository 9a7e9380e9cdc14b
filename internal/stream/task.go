package stream

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Slot is partition Partition of every input.
type Slot struct {
	Partition int32
	Inputs    []Input // in the order of Config.Inputs
	// Generation is Config.Generation.
	Generation uint64
}

// Input is one topic of a slot.
type Input struct {
	Topic string
	ID    [16]byte // Kafka's topic id: a topic made anew has another
}

// Record is one Kafka record as a task sees it. Key, Value and Headers are
// valid until the batch they belong to has been flushed.
type Record struct {
	Input     int // index into Slot.Inputs
	Offset    int64
	Timestamp int64 // the broker's, Unix milliseconds
	Key       []byte
	Value     []byte
	Headers   []kgo.RecordHeader
}

// Reason says why a batch was closed.
type Reason uint8

// The five reasons, and the repetition of a batch that was pending at a crash.
const (
	ReasonSize Reason = iota
	ReasonAge
	ReasonIdle
	ReasonRevoke
	ReasonStop
	ReasonReplay
	numReasons
)

// String names the reason as the metrics do.
func (r Reason) String() string {
	return [...]string{"size", "age", "idle", "revoke", "stop", "replay"}[r]
}

// Batch is what one flush makes durable.
type Batch struct {
	Slot   Slot
	Reason Reason
	// From and To bound the batch, [From[i], To[i]) of input i. The same batch
	// always has the same bounds, so names derived from them identify it.
	From, To []int64
	// Dead are the records that Fold refused as poison, in order.
	Dead []Dead
}

// Dead is a record that can't be processed, and why.
type Dead struct {
	Record Record
	Reason string
	Err    error
}

// Task is the state and output of one slot. Its methods are called by the
// slot's goroutine alone, one at a time.
type Task interface {
	// Fold takes one record into the state and the open batch's output. Equal
	// states and records give equal results: no clock, no chance. After a
	// Transient error, which must leave the state as it was, it is called again.
	// The record itself is the caller's; its slices stay until the flush.
	Fold(*Record) error
	// Settle is called once all records of a batch are folded, silent or not,
	// for what the task derives from the batch as a whole.
	Settle(b Batch) error
	// Unsettled says that the task holds output back for a later batch. When
	// nothing more comes, at the end, and after a warm-up, an empty batch is made
	// for it; the last is discarded.
	Unsettled() bool
	// Flush makes the open batch's output durable and empties it. It is called
	// again with the same batch after a Transient error, and must then have the
	// same effect as one call.
	Flush(ctx context.Context, b Batch) error
	// Discard empties the open batch's output: it was made durable before.
	Discard()
	// AppendState appends the whole state; RestoreState takes it back.
	AppendState(dst []byte) ([]byte, error)
	RestoreState(src []byte) error
	// Release gives back what the task holds.
	Release()
}

// Purger is a task whose state may have to shrink although no record says so.
type Purger interface {
	// Purge lets go of what may no longer be kept and says whether there was any;
	// then a snapshot is taken without it, and the one before removed. It is called
	// between batches, about once a second when nothing comes, so it must be cheap
	// when there is nothing to do.
	Purge() (bool, error)
}

// Tasks makes the task of a slot.
type Tasks func(Slot) (Task, error)

// Ref places a snapshot in its store. The zero Ref means "none".
type Ref struct{ Start, End int64 }

// Snapshots keeps the states of slots.
type Snapshots interface {
	// Save returns once the state is durable.
	Save(ctx context.Context, partition int32, state []byte) (Ref, error)
	// Has says whether a snapshot can still be there; the zero Ref asks for any of
	// the slot's that this group left.
	Has(ctx context.Context, partition int32, ref Ref) (bool, error)
	// Load returns what Save was given. ErrNoSnapshot: it is not there any more.
	Load(ctx context.Context, partition int32, ref Ref) ([]byte, error)
	// Forget says that nothing refers to ref any longer. It is a hint.
	Forget(ctx context.Context, partition int32, ref Ref)
}

// Poison is an error of Fold that concerns one record: it will never be
// processed, however often it is tried.
type Poison struct {
	Reason string // of a closed set, for the metric
	Err    error
}

// Error gives reason and cause.
func (p *Poison) Error() string { return fmt.Sprintf("poison record (%s): %v", p.Reason, p.Err) }

// Unwrap gives the cause.
func (p *Poison) Unwrap() error { return p.Err }

// TransientError marks an error that is worth trying again.
type TransientError struct{ Err error }

// Transient wraps err as worth trying again; nil stays nil.
func Transient(err error) error {
	if err == nil {
		return nil
	}
	return &TransientError{Err: err}
}

// Error gives the cause.
func (t *TransientError) Error() string { return t.Err.Error() }

// Unwrap gives the cause.
func (t *TransientError) Unwrap() error { return t.Err }
