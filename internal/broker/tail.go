package broker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Tail reads a whole topic from its start and goes on for ever, outside any
// consumer group. It suits compacted topics that are small enough to hold.
type Tail struct {
	cfg   Config
	topic string
	// Apply takes each record in order of its partition. It must not fail: what
	// a record says wrong is Apply's to count. It may wait for what it needs, as
	// long as the context lives.
	apply func(ctx context.Context, key, value []byte)

	ready  chan struct{} // closed when the end as of the start was reached
	once   sync.Once
	cancel context.CancelFunc
	done   chan struct{}
}

// NewTail makes a reader; nothing is opened.
func NewTail(cfg Config, topic string, apply func(ctx context.Context, key, value []byte)) *Tail {
	return &Tail{cfg: cfg, topic: topic, apply: apply, ready: make(chan struct{}), done: make(chan struct{})}
}

// Start begins to read. failed is called if reading ends by itself.
func (t *Tail) Start(ctx context.Context, failed func(error)) error {
	cl, err := Client(t.cfg, kgo.ConsumeTopics(t.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		return err
	}
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, t.topic)
	if err != nil {
		cl.Close()
		return fmt.Errorf("listing end of %s: %w", t.topic, err)
	}
	if err := ends.Error(); err != nil {
		cl.Close()
		return fmt.Errorf("listing end of %s: %w", t.topic, err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t.cancel = cancel
	go func() {
		defer close(t.done)
		defer cl.Close()
		t.run(run, cl, left, failed)
	}()
	return nil
}

func (t *Tail) run(ctx context.Context, cl *kgo.Client, left map[int32]int64, failed func(error)) {
	starts, err := kadm.NewClient(cl).ListStartOffsets(ctx, t.topic)
	if err == nil {
		starts.Each(func(o kadm.ListedOffset) {
			if o.Offset >= left[o.Partition] {
				delete(left, o.Partition) // everything was removed: nothing to wait for
			}
		})
	}
	for {
		if len(left) == 0 {
			t.once.Do(func() { close(t.ready) })
		}
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		if fs.IsClientClosed() {
			failed(fmt.Errorf("reading %s: client closed", t.topic))
			return
		}
		fs.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				if ctx.Err() != nil {
					return // asked to stop: what is not applied now is read again
				}
				t.apply(ctx, r.Key, r.Value)
				if end, ok := left[p.Partition]; ok && r.Offset >= end-1 {
					delete(left, p.Partition)
				}
			}
			// Compaction can have removed the last records.
			if end, ok := left[p.Partition]; ok && len(p.Records) == 0 && p.HighWatermark > 0 && p.LogStartOffset >= end {
				delete(left, p.Partition)
			}
		})
	}
}

// Ready is closed once everything that was on the topic at the start is
// applied.
func (t *Tail) Ready() <-chan struct{} { return t.ready }

// Stop ends reading and waits for it.
func (t *Tail) Stop(context.Context) error {
	if t.cancel != nil {
		t.cancel()
		<-t.done
	}
	return nil
}
