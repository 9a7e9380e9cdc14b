package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Position is the next offset of each partition of some topics.
type Position map[string][]int64

// Clone copies a position.
func (p Position) Clone() Position {
	out := make(Position, len(p))
	for t, offsets := range p {
		out[t] = append([]int64(nil), offsets...)
	}
	return out
}

// Entry is one record with its place.
type Entry struct {
	Topic     string
	Partition int32
	Offset    int64
	Value     []byte
}

// Ends gives the end of each partition of topics.
func Ends(ctx context.Context, cfg Config, topics ...string) (Position, error) {
	out := Position{}
	for _, t := range topics {
		ends, err := EndOffsets(ctx, cfg, t)
		if err != nil {
			return nil, err
		}
		out[t] = make([]int64, len(ends))
		for p, o := range ends {
			if int(p) >= len(ends) {
				return nil, fmt.Errorf("listing end of %s: partition %d of %d", t, p, len(ends))
			}
			out[t][p] = o
		}
	}
	return out, nil
}

func (p Position) consume() kgo.Opt {
	at := map[string]map[int32]kgo.Offset{}
	for t, offsets := range p {
		at[t] = map[int32]kgo.Offset{}
		for i, o := range offsets {
			at[t][int32(i)] = kgo.NewOffset().At(o)
		}
	}
	return kgo.ConsumePartitions(at)
}

// Follow reads from a position on, outside any group, until the context ends,
// and returns nil then. apply gets the records in order of their partition; it
// must not wait.
func Follow(ctx context.Context, cfg Config, from Position, log *slog.Logger, apply func(e *Entry)) error {
	cl, err := Client(cfg, from.consume())
	if err != nil {
		return err
	}
	defer cl.Close()
	return poll(ctx, cl, log, apply)
}

func poll(ctx context.Context, cl *kgo.Client, log *slog.Logger, apply func(e *Entry)) error {
	for ctx.Err() == nil {
		fs := cl.PollFetches(ctx)
		if fs.IsClientClosed() && ctx.Err() == nil {
			return fmt.Errorf("following: %w", kgo.ErrClientClosed)
		}
		fs.EachError(func(topic string, p int32, err error) {
			if ctx.Err() == nil {
				log.WarnContext(ctx, "polling failed", "topic", topic, "partition", p, "error", err)
			}
		})
		fs.EachRecord(func(r *kgo.Record) { apply(&Entry{r.Topic, r.Partition, r.Offset, r.Value}) })
	}
	return nil
}

// ErrGap says that a range can't be read whole: retention has removed its
// beginning, it is too long, or it isn't one of these topics.
var ErrGap = errors.New("the records are not all there")

// ReadRange calls fn with every record of [from, to), in order of their
// partition. It reads at most so many, and says ErrGap before the first if not
// all can be had.
func ReadRange(ctx context.Context, cfg Config, from, to Position, most int64, fn func(e *Entry) error) error {
	cl, err := Client(cfg)
	if err != nil {
		return err
	}
	defer cl.Close()
	at, left, err := span(ctx, cl, from, to, most)
	if err != nil || len(left) == 0 {
		return err
	}
	cl.AddConsumePartitions(at)
	for len(left) > 0 {
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := fs.Err(); err != nil {
			return fmt.Errorf("reading a range: %w", err)
		}
		for it := fs.RecordIter(); !it.Done(); {
			r := it.Next()
			k := place{r.Topic, r.Partition}
			end, open := left[k]
			if !open || r.Offset >= end {
				delete(left, k) // transaction markers can stand at the end
				continue
			}
			if err := fn(&Entry{r.Topic, r.Partition, r.Offset, r.Value}); err != nil {
				return err
			}
			if r.Offset == end-1 {
				delete(left, k)
			}
		}
	}
	return nil
}

type place struct {
	topic     string
	partition int32
}

// span checks a range against what the topics hold and gives where to begin and
// where each partition ends.
func span(ctx context.Context, cl *kgo.Client, from, to Position, most int64) (map[string]map[int32]kgo.Offset, map[place]int64, error) {
	at, left, n := map[string]map[int32]kgo.Offset{}, map[place]int64{}, int64(0)
	for t, ends := range to {
		begins := from[t]
		if len(begins) != len(ends) {
			return nil, nil, ErrGap
		}
		starts, err := kadm.NewClient(cl).ListStartOffsets(ctx, t)
		if err != nil {
			return nil, nil, fmt.Errorf("listing start of %s: %w", t, err)
		}
		for p, end := range ends {
			begin := begins[p]
			if begin == end {
				continue
			}
			start, ok := starts.Lookup(t, int32(p))
			if n += end - begin; !ok || begin > end || begin < start.Offset || n > most {
				return nil, nil, ErrGap
			}
			if at[t] == nil {
				at[t] = map[int32]kgo.Offset{}
			}
			at[t][int32(p)] = kgo.NewOffset().At(begin)
			left[place{t, int32(p)}] = end
		}
	}
	return at, left, nil
}

// Watch follows single partitions of one topic from their end, as long as
// someone wants them.
type Watch struct {
	topic string
	cl    *kgo.Client
	n     int32

	mu   sync.Mutex // guards want
	want map[int32]int
}

// NewWatch makes a watch; no partition is read yet. Close it.
func NewWatch(ctx context.Context, cfg Config, topic string) (*Watch, error) {
	ends, err := EndOffsets(ctx, cfg, topic)
	if err != nil {
		return nil, err
	}
	cl, err := Client(cfg, kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return nil, err
	}
	return &Watch{topic: topic, cl: cl, n: int32(len(ends)), want: map[int32]int{}}, nil
}

// Want begins to read the partition of a key, from its end; it is read until
// each Want has had its Leave.
func (w *Watch) Want(key []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := PartitionOf(key, w.n)
	if w.want[p]++; w.want[p] == 1 {
		w.cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{w.topic: {p: kgo.NewOffset().AtEnd()}})
	}
}

// Leave undoes a Want.
func (w *Watch) Leave(key []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := PartitionOf(key, w.n)
	if w.want[p]--; w.want[p] == 0 {
		w.cl.RemoveConsumePartitions(map[string][]int32{w.topic: {p}})
		delete(w.want, p)
	}
}

// Run hands over records until the context ends; apply must not wait.
func (w *Watch) Run(ctx context.Context, log *slog.Logger, apply func(e *Entry)) error {
	return poll(ctx, w.cl, log, apply)
}

// Close gives the connections back.
func (w *Watch) Close() { w.cl.Close() }

// PartitionOf says in which of n partitions our producers put a key.
func PartitionOf(key []byte, n int32) int32 {
	return int32(kgo.StickyKeyPartitioner(nil).ForTopic("").Partition(&kgo.Record{Key: key}, int(n)))
}
