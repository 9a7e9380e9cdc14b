package broker

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Record is one record of a topic read by a group.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	TS        int64 // the broker's, Unix milliseconds
	Key       []byte
	Value     []byte // nil: a tombstone
}

// handlePause is the wait before records that could not be handled are handed
// over again.
const handlePause = time.Second

// groupPoll is how many records are handed over at most: what one costs (a commit of
// offsets, and the transactions of those who handle them by tenant) is spread over so
// many, and they take little room.
const groupPoll = 2000

// groupSession is how long the partitions of a member that died wait for the next
// one, and leaveLimit how long a member that ends waits to say so.
const (
	groupSession = 10 * time.Second
	leaveLimit   = 3 * time.Second
)

// ReadGroup reads topics as a member of a consumer group until the context ends,
// and returns nil then. handle gets records in order of their partition; offsets
// are committed after it has returned nil, so each record is handled at least
// once. An error of handle means "not now": the same records come again. A new
// group starts at the earliest offset.
//
// moved is called beside handle, never at the same time, before the first records
// after partitions have come or gone: what was remembered of records until then may
// be old, since another member has had them in between. nil: nothing is remembered.
func ReadGroup(ctx context.Context, c Config, group string, topics []string, log *slog.Logger, handle func(ctx context.Context, rs []Record) error, moved func()) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var changes atomic.Int64 // of the assignment; the client's goroutines add to it
	changed := func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
		if len(partitions) > 0 {
			changes.Add(1)
		}
	}
	cl, err := Client(c, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.SessionTimeout(groupSession), kgo.HeartbeatInterval(groupSession/4), kgo.WithContext(life),
		kgo.OnPartitionsAssigned(changed), kgo.OnPartitionsRevoked(changed), kgo.OnPartitionsLost(changed))
	if err != nil {
		return err
	}
	defer func() {
		// A join that is under way waits for members that died, and leaving waits
		// for the join; only the end of the client's own life breaks it off. The
		// commits are done, so a goodbye that isn't said costs the next member time.
		leave, cancel := context.WithTimeout(life, leaveLimit)
		defer cancel()
		cl.AllowRebalance()
		_ = cl.LeaveGroupContext(leave)
		end()
		cl.Close()
	}()
	seen := int64(0)
	for ctx.Err() == nil {
		fs := cl.PollRecords(ctx, groupPoll)
		if fs.IsClientClosed() {
			return fmt.Errorf("reading as group %s: %w", group, kgo.ErrClientClosed)
		}
		fs.EachError(func(topic string, p int32, err error) {
			if ctx.Err() == nil {
				log.WarnContext(ctx, "polling failed", "group", group, "topic", topic, "partition", p, "error", err)
			}
		})
		rs := make([]Record, 0, fs.NumRecords())
		fs.EachRecord(func(r *kgo.Record) {
			rs = append(rs, Record{r.Topic, r.Partition, r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value})
		})
		// What was polled belongs to the assignment that stands now: no rebalance
		// ends between the poll and AllowRebalance.
		if now := changes.Load(); now != seen && moved != nil {
			moved()
			seen = now
		}
		for len(rs) > 0 && ctx.Err() == nil {
			if err := handle(ctx, rs); err == nil {
				// A commit that fails costs only that the records come again.
				if err := cl.CommitUncommittedOffsets(ctx); err != nil && ctx.Err() == nil {
					log.WarnContext(ctx, "committing failed", "group", group, "error", err)
				}
				break
			} else if ctx.Err() == nil {
				log.WarnContext(ctx, "records not handled, trying again", "group", group, "error", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(handlePause):
			}
		}
		cl.AllowRebalance()
	}
	return nil
}
