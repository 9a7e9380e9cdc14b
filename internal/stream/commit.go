package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// errFenced says that the member no longer holds the slot.
var errFenced = errors.New("the group has given the slot to another member")

// errForgotten says that Kafka has no offsets of a group whose snapshots are
// there: it lets go of them when a group was away for offsets.retention.minutes.
// Beginning anew would count every record twice that the topics still hold.
var errForgotten = errors.New("the slot was processed before, but Kafka has forgotten the group's offsets; set them (kafka-consumer-groups --reset-offsets): --to-datetime of the last row to go on from there, or --to-earliest with empty tables to process everything again")

// errGeneration says that a newer generation of the job has taken over.
var errGeneration = errors.New("the job's generation is too low")

// errAnew says that Deps.Anew stands against a raised generation.
var errAnew = errors.New("the slot can't be processed again")

// commitLog reads and writes the ledgers of one group.
type commitLog struct {
	cl    *kgo.Client
	group string
}

// maxCommitPause bounds the pause between two tries of a commit.
const maxCommitPause = 250 * time.Millisecond

// write commits the ledger's offsets and the ledger itself for all inputs of a
// slot in one request. It tries until it is done, fenced, or ctx ends. The
// generation is read anew at each try: while a cooperative rebalance runs, the
// slots that stay are committed under the next one.
func (c *commitLog) write(ctx context.Context, slot Slot, l *ledger) error {
	offsets, meta := l.committed(), l.encode()
	backoff := 5 * time.Millisecond
	for {
		err := c.try(ctx, slot, offsets, meta)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, kerr.FencedInstanceID):
			return fmt.Errorf("%w: %w", errFenced, err)
		case !retriable(err):
			return fmt.Errorf("committing offsets of slot %d: %w", slot.Partition, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("committing offsets of slot %d: %w", slot.Partition, context.Cause(ctx))
		case <-time.After(backoff):
			backoff = min(2*backoff, maxCommitPause)
		}
	}
}

// retriable says whether a commit may pass later: whatever Kafka calls so, a
// rebalance under way, and trouble on the way to the broker. An old generation
// or an unknown member may be ours for the moment between the group's step and
// the client's; if the slot is really lost, the runner ends the worker.
func retriable(err error) bool {
	var ke *kerr.Error
	if errors.As(err, &ke) {
		return ke.Retriable || errors.Is(err, kerr.RebalanceInProgress) ||
			errors.Is(err, kerr.IllegalGeneration) || errors.Is(err, kerr.UnknownMemberID)
	}
	return true
}

func (c *commitLog) try(ctx context.Context, slot Slot, offsets []int64, meta string) error {
	member, generation := c.cl.GroupMetadata()
	if member == "" {
		return kerr.UnknownMemberID
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = c.group, member, generation
	for i, in := range slot.Inputs {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.TopicID = in.Topic, in.ID
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata = slot.Partition, offsets[i], &meta
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, c.cl)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

// start is where a slot's consumption begins.
type start struct {
	ledger *ledger
	// silent is the upper bound of what is folded without output when the ledger
	// does not say how it was batched (no ledger, only an offset); else nil.
	silent []int64
	// bare are offsets that were committed without a ledger; fresh says that
	// nothing was committed, anew that an older generation was.
	bare        []int64
	fresh, anew bool
}

// read finds out what is committed of a slot. earliest are the inputs' log start
// offsets.
func (c *commitLog) read(ctx context.Context, slot Slot, earliest []int64) (start, error) {
	topics := make([]string, len(slot.Inputs))
	for i, in := range slot.Inputs {
		topics[i] = in.Topic
	}
	all, err := kadm.NewClient(c.cl).FetchOffsetsForTopics(ctx, c.group, topics...)
	if err != nil {
		return start{}, fmt.Errorf("fetching offsets of group %s: %w", c.group, err)
	}
	var best *ledger
	at := make([]int64, len(topics))
	bare := false
	for i, topic := range topics {
		at[i] = -1
		o, ok := all.Lookup(topic, slot.Partition)
		if !ok || o.At < 0 {
			continue
		}
		if o.Err != nil {
			return start{}, fmt.Errorf("fetching offset of %s/%d: %w", topic, slot.Partition, o.Err)
		}
		at[i] = o.At
		l, err := decodeLedger(o.Metadata, len(topics))
		if errors.Is(err, errNewer) {
			return start{}, fmt.Errorf("%w: slot %d", errNewer, slot.Partition)
		}
		if err != nil {
			bare = true // an operator set the offset, or another program
			continue
		}
		if best == nil || l.seq > best.seq {
			best = l
		}
	}
	switch {
	case best != nil && best.generation > slot.Generation:
		return start{}, fmt.Errorf("%w: slot %d was processed under generation %d, this job is of generation %d", errGeneration, slot.Partition, best.generation, slot.Generation)
	case best != nil && best.generation < slot.Generation, best == nil && !bare:
		return start{ledger: &ledger{generation: slot.Generation, base: earliest}, fresh: best == nil, anew: best != nil}, nil
	case bare:
		return start{ledger: &ledger{}, bare: at}, nil
	default:
		return start{ledger: best}, nil
	}
}

// rewound starts ahead of bare offsets, to warm up in silence up to them.
func rewound(slot Slot, at, earliest []int64, rewind int64) start {
	l := &ledger{generation: slot.Generation, base: make([]int64, len(at))}
	silent := make([]int64, len(at))
	for i := range at {
		silent[i] = max(at[i], earliest[i])
		l.base[i] = max(silent[i]-rewind, earliest[i])
	}
	return start{ledger: l, silent: silent}
}
