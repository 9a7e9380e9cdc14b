package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// errTruncated says that Kafka no longer has what a slot had taken of a topic:
// the log was put back from a backup of another hour, or lost its end (an
// unclean leader election, a disk that kept less than it confirmed). What is
// written since stands at offsets that count as processed, and would be passed
// over without a word.
var errTruncated = errors.New("the topic no longer has records that were taken from it (a backup put back, an unclean leader election, a lost disk), and what is written in their place would be passed over; end the group's processors and set its offsets (kafka-consumer-groups --reset-offsets): --to-datetime of the moment at which Kafka came back to process what came since, or --to-latest to go on from the end")

// errRemade says that a topic was deleted and made anew under its name.
var errRemade = errors.New("the topic was deleted and made anew since the group committed, so the offsets are of other records; end the group's processors and set its offsets (kafka-consumer-groups --topic … --reset-offsets --to-earliest) to process the new one whole")

// refused says whether an error of an assignment will stay until a person acts.
func refused(err error) bool {
	for _, final := range []error{errGeneration, errForgotten, errTruncated, errRemade, errNewer, errAnew} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// A log that seems too short is asked for its end again: a leader that was
// elected a moment ago learns with delay how far its followers are.
const (
	shortTries = 8
	shortPause = 250 * time.Millisecond
)

// whole holds what is committed of a slot against the topics: they are those of
// the commit, and reach over all that is committed or pending.
func (r *Runner) whole(ctx context.Context, slot Slot, at start, ends kadm.ListedOffsets) error {
	for i, in := range r.inputs {
		if id := at.ledger.topic(i); id != 0 && topicHash(in.ID) != 0 && id != topicHash(in.ID) {
			return fmt.Errorf("%w: %s (slot %d)", errRemade, in.Topic, slot.Partition)
		}
	}
	reach := at.reach()
	for try := 1; ; try++ {
		err := r.reaches(ctx, slot, at.ledger, reach, ends)
		if err == nil || !errors.Is(err, errTruncated) || try == shortTries {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(shortPause):
		}
		if ends, err = r.ends(ctx); err != nil {
			return err
		}
	}
}

// reach is how far a start counts on its inputs.
func (s start) reach() []int64 {
	if s.bare != nil {
		return s.bare
	}
	if s.ledger.pending != nil {
		return s.ledger.pending
	}
	return s.ledger.committed()
}

// reaches is one try of whole.
func (r *Runner) reaches(ctx context.Context, slot Slot, l *ledger, reach []int64, ends kadm.ListedOffsets) error {
	for i, in := range r.inputs {
		end, ok := ends.Lookup(in.Topic, slot.Partition)
		if !ok || end.Err != nil {
			return fmt.Errorf("listing end offset of %s/%d: %w", in.Topic, slot.Partition, end.Err)
		}
		to, epoch := end.Offset, l.epoch(i)
		switch {
		case epoch < 0 || end.LeaderEpoch < 0 || epoch == end.LeaderEpoch:
		case epoch > end.LeaderEpoch: // epochs only grow: this log never saw the leader that we read from
			return fmt.Errorf("%w: %s/%d was read up to %d under leader epoch %d, its newest is %d", errTruncated, in.Topic, slot.Partition, reach[i], epoch, end.LeaderEpoch)
		default:
			// Other leaders came since. What they have of the one we read from may end
			// before what we read of it, however long the log has grown again.
			upTo, err := r.epochEnd(ctx, in.Topic, slot.Partition, epoch)
			if err != nil {
				return err
			}
			if upTo >= 0 {
				to = min(to, upTo)
			}
		}
		if reach[i] > to {
			return fmt.Errorf("%w: %s/%d was read up to %d and has no more than %d of that", errTruncated, in.Topic, slot.Partition, reach[i], to)
		}
	}
	return nil
}

// ends lists where the inputs end now.
func (r *Runner) ends(ctx context.Context) (kadm.ListedOffsets, error) {
	ends, err := kadm.NewClient(r.cl).ListEndOffsets(ctx, r.cfg.Inputs...)
	if err != nil {
		return nil, fmt.Errorf("listing end offsets: %w", err)
	}
	return ends, nil
}

// epochEnd asks where what a partition has of a leader epoch ends; -1: the broker
// can't tell.
func (r *Runner) epochEnd(ctx context.Context, topic string, partition, epoch int32) (int64, error) {
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.Partition, p.LeaderEpoch = partition, epoch
	t := kmsg.NewOffsetForLeaderEpochRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID, req.Topics = -1, append(req.Topics, t)
	resp, err := req.RequestWith(ctx, r.cl)
	if err != nil {
		return 0, fmt.Errorf("asking for the end of epoch %d of %s/%d: %w", epoch, topic, partition, err)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return -1, nil
	}
	answer := resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return 0, fmt.Errorf("asking for the end of epoch %d of %s/%d: %w", epoch, topic, partition, err)
	}
	return answer.EndOffset, nil
}

// watchEvery is how often the topics are looked at while the job runs.
const watchEvery = 10 * time.Second

// watch ends the job when a topic that it reads was made anew: the client keeps
// to the old one, of which nothing comes any more.
func (r *Runner) watch(ctx context.Context) {
	again := time.NewTicker(r.watchEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		if err := r.same(ctx); refused(err) {
			r.fail(err)
			return
		} else if err != nil && ctx.Err() == nil {
			r.deps.Logger.Warn("can't look at the inputs, trying again", "error", err)
		}
	}
}

// same holds the inputs to what they were when the job began. Counts of
// partitions that differ are spoken of: a slot has all inputs or none.
func (r *Runner) same(ctx context.Context) error {
	topics, err := kadm.NewClient(r.cl).ListTopics(ctx, r.cfg.Inputs...)
	if err != nil {
		return fmt.Errorf("describing inputs: %w", err)
	}
	counts := make([]int, len(r.inputs))
	for i, in := range r.inputs {
		t, ok := topics[in.Topic]
		if !ok || t.Err != nil {
			return fmt.Errorf("describing input %s: %w", in.Topic, t.Err)
		}
		if before, now := topicHash(in.ID), topicHash(t.ID); before != 0 && now != 0 && before != now {
			return fmt.Errorf("%w: %s", errRemade, in.Topic)
		}
		counts[i] = len(t.Partitions)
	}
	if slices.Min(counts) != slices.Max(counts) {
		r.deps.Logger.Error("inputs have different numbers of partitions; what lies past the smallest waits until they are equal",
			"topics", r.cfg.Inputs, "partitions", counts)
	}
	return nil
}

// lossOf makes what the client says of a log that was cut behind its back an
// error of ours; nil: err says nothing of the kind.
func lossOf(err error) error {
	if loss := new(kgo.ErrDataLoss); errors.As(err, &loss) {
		return fmt.Errorf("%w: %w", errTruncated, loss)
	}
	return nil
}
