package stream

import (
	"errors"
	"time"
)

// Config says what a job consumes and how it batches.
type Config struct {
	// Group is the consumer group.
	Group string
	// Inputs are the topics, in the order in which a batch folds them. All have
	// the same number of partitions.
	Inputs []string
	// Generation is part of every deduplication token. Raising it reprocesses
	// everything the topics hold, from empty state; a restart never does.
	Generation uint64

	// BatchRecords and BatchBytes close a batch by size.
	BatchRecords int
	BatchBytes   int
	// MaxAge closes a batch whose oldest record has waited that long.
	MaxAge time.Duration
	// Idle closes a batch when nothing has come for that long.
	Idle time.Duration
	// HoldBack is how long a task may keep output for a later batch while nothing
	// comes.
	HoldBack time.Duration
	// QueueBytes bounds what waits for one slot; past it the slot is paused.
	QueueBytes int

	// SnapshotEvery is the least time between two snapshots of a slot that
	// folded something, and SnapshotRecords the least number of records.
	SnapshotEvery   time.Duration
	SnapshotRecords int
	// SnapshotQuiet is after how long a slot that folded fewer is stored all the
	// same: far sooner than retention removes the records that its state is made
	// of.
	SnapshotQuiet time.Duration
	// Rewind is how many records of each input are folded in silence to warm up
	// when the committed offset has no usable ledger or snapshot.
	Rewind int64

	SessionTimeout   time.Duration
	RebalanceTimeout time.Duration
	// StopTimeout bounds the last flush and commit of a stop.
	StopTimeout time.Duration
}

// DefaultConfig gives batches that keep a reading's way to the store well under
// a second at low rates and large inserts at high ones.
func DefaultConfig() Config {
	return Config{
		BatchRecords:     200_000,
		BatchBytes:       24 << 20,
		MaxAge:           350 * time.Millisecond,
		Idle:             150 * time.Millisecond,
		HoldBack:         5 * time.Second,
		QueueBytes:       32 << 20,
		SnapshotEvery:    30 * time.Second,
		SnapshotRecords:  1000,
		SnapshotQuiet:    time.Hour,
		Rewind:           100_000,
		SessionTimeout:   20 * time.Second,
		RebalanceTimeout: 60 * time.Second,
		StopTimeout:      30 * time.Second,
	}
}

// Validate names every fault of the configuration at once.
func (c Config) Validate() error {
	var errs []error
	positive := func(ok bool, name string) {
		if !ok {
			errs = append(errs, errors.New("stream."+name+": must be positive"))
		}
	}
	if c.Group == "" {
		errs = append(errs, errors.New("stream.group: must not be empty"))
	}
	if len(c.Inputs) == 0 {
		errs = append(errs, errors.New("stream.inputs: must not be empty"))
	}
	positive(c.BatchRecords > 0, "batch_records")
	positive(c.BatchBytes > 0, "batch_bytes")
	positive(c.MaxAge > 0, "max_age")
	positive(c.Idle > 0, "idle")
	positive(c.HoldBack > 0, "hold_back")
	positive(c.SnapshotEvery > 0, "snapshot_every")
	positive(c.SnapshotRecords > 0, "snapshot_records")
	positive(c.SnapshotQuiet > 0, "snapshot_quiet")
	positive(c.Rewind >= 0, "rewind")
	positive(c.SessionTimeout > 0, "session_timeout")
	positive(c.RebalanceTimeout > 0, "rebalance_timeout")
	positive(c.StopTimeout > 0, "stop_timeout")
	if c.QueueBytes < c.BatchBytes {
		errs = append(errs, errors.New("stream.queue_bytes: must be at least batch_bytes"))
	}
	return errors.Join(errs...)
}
