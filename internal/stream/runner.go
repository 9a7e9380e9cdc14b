package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/telemetry"
)

// Deps are what a runner needs from outside.
type Deps struct {
	// Client opens a Kafka client with the given options added.
	Client    func(...kgo.Opt) (*kgo.Client, error)
	Tasks     Tasks
	Snapshots Snapshots
	Logger    *slog.Logger
	Registry  prometheus.Registerer
	Tracer    *telemetry.Tracer // may be nil
	// Anew, when set, is asked before a slot is processed again from offsets (one
	// an input) because the generation was raised. An error that is not Transient ends the job.
	Anew func(ctx context.Context, slot Slot, from []int64) error
}

// Runner is one member of a job's consumer group.
type Runner struct {
	cfg  Config
	deps Deps
	m    *metrics

	// opened is closed when cl and what follows is set: the client's callbacks
	// may come before its constructor returns.
	opened chan struct{}
	cl     *kgo.Client
	log    *commitLog
	inputs []Input
	index  map[string]int // topic to input
	chunks chunkPool

	mu      sync.Mutex // guards workers
	workers map[int32]*worker
	cancels map[int32]context.CancelCauseFunc

	watchEvery time.Duration // between two looks at the inputs

	// stop ends Run; the first cause given is what Run returns.
	stop context.CancelCauseFunc
}

// New makes a runner; nothing is started.
func New(cfg Config, deps Deps) (*Runner, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Runner{
		cfg: cfg, deps: deps, m: newMetrics(deps.Registry, cfg.Inputs),
		index:   map[string]int{},
		workers: map[int32]*worker{}, cancels: map[int32]context.CancelCauseFunc{},
		opened: make(chan struct{}), watchEvery: watchEvery,
	}, nil
}

// errStopped ends workers whose time to drain is over.
var errStopped = errors.New("stopped before the last batch was durable")

// Run is called once. It consumes until ctx ends, then drains: open batches are flushed and
// committed within Config.StopTimeout. It returns nil after a clean stop, and
// the error of a worker that can't go on.
func (r *Runner) Run(ctx context.Context) error {
	ctx, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	cl, err := r.deps.Client(
		kgo.ConsumerGroup(r.cfg.Group),
		kgo.ConsumeTopics(r.cfg.Inputs...),
		kgo.Balancers(Balancer()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(r.cfg.SessionTimeout),
		kgo.HeartbeatInterval(min(3*time.Second, r.cfg.SessionTimeout/4)), // one that is lost costs no session
		kgo.RebalanceTimeout(r.cfg.RebalanceTimeout),
		kgo.FetchMaxWait(100*time.Millisecond),
		kgo.FetchMaxBytes(16<<20),
		kgo.FetchMaxPartitionBytes(4<<20),
		kgo.AdjustFetchOffsetsFn(r.adjust),
		kgo.OnPartitionsRevoked(r.revoked),
		kgo.OnPartitionsLost(r.lost),
		kgo.WithPools(&recordPool{}),
	)
	if err != nil {
		return fmt.Errorf("opening client of group %s: %w", r.cfg.Group, err)
	}
	r.cl, r.log = cl, &commitLog{cl: cl, group: r.cfg.Group}
	if err := r.describe(ctx); err != nil {
		cl.CloseAllowingRebalance()
		if ctx.Err() != nil {
			return nil // told to stop before it began: nothing is left undone
		}
		return err
	}
	close(r.opened)
	watched := make(chan struct{})
	go func() { defer close(watched); r.watch(ctx) }()
	r.poll(ctx)
	<-watched // it ends with ctx, as poll does
	var fatal *fatalError
	abandon := errors.As(context.Cause(ctx), &fatal)
	r.drainAll(ReasonStop, abandon)
	cl.CloseAllowingRebalance()
	if errors.As(context.Cause(ctx), &fatal) {
		return fatal.err
	}
	return nil
}

// fatalError is a cause that ends Run with an error.
type fatalError struct{ err error }

// Error gives the cause.
func (f *fatalError) Error() string { return f.err.Error() }

// Unwrap gives the cause.
func (f *fatalError) Unwrap() error { return f.err }

// fail ends the runner with err; the first one is enough.
func (r *Runner) fail(err error) { r.stop(&fatalError{err}) }

// describe learns the topics' ids and holds them to equal partition counts.
func (r *Runner) describe(ctx context.Context) error {
	topics, err := kadm.NewClient(r.cl).ListTopics(ctx, r.cfg.Inputs...)
	if err != nil {
		return fmt.Errorf("describing inputs: %w", err)
	}
	count := -1
	for i, name := range r.cfg.Inputs {
		t, ok := topics[name]
		if !ok || t.Err != nil {
			return fmt.Errorf("describing input %s: %w", name, t.Err)
		}
		if count >= 0 && len(t.Partitions) != count {
			return fmt.Errorf("inputs %v: partition counts differ (%d and %d), so a line would have two owners", r.cfg.Inputs, count, len(t.Partitions))
		}
		count = len(t.Partitions)
		r.inputs = append(r.inputs, Input{Topic: name, ID: t.ID})
		r.index[name] = i
	}
	return nil
}

// poll hands fetched records to the slots' queues. It never waits for a worker.
func (r *Runner) poll(ctx context.Context) {
	gauges := time.NewTicker(time.Second)
	defer gauges.Stop()
	for {
		pollCtx, cancel := context.WithTimeout(ctx, time.Second)
		fs := r.cl.PollFetches(pollCtx)
		cancel()
		var fetchErr error
		fs.EachError(func(topic string, p int32, err error) {
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
				fetchErr = errors.Join(fetchErr, fmt.Errorf("fetching %s/%d: %w", topic, p, err))
				if loss := lossOf(err); loss != nil {
					r.fail(loss)
				}
			}
		})
		now := time.Now()
		fs.EachPartition(func(p kgo.FetchTopicPartition) { r.dispatch(p, now) })
		r.cl.AllowRebalance()
		if fetchErr != nil {
			r.deps.Logger.Warn("fetch reported errors", "error", fetchErr)
		}
		select {
		case <-gauges.C:
			r.gauge(now)
		case <-ctx.Done():
			return
		default:
		}
	}
}

func (r *Runner) dispatch(p kgo.FetchTopicPartition, now time.Time) {
	r.mu.Lock()
	w := r.workers[p.Partition]
	r.mu.Unlock()
	defer recycle(p.Records) // the queue copies
	if w == nil {
		return
	}
	i := r.index[p.Topic]
	if n := len(p.Records); n > 0 {
		// The client was sent back behind what it gave: it asked for what is past the
		// log's end. What it gives now is new, and stands where old records stood.
		if first, next := p.Records[0].Offset, w.q.next(i); first < next {
			r.fail(fmt.Errorf("%w: %s/%d gave offset %d after %d", errTruncated, p.Topic, p.Partition, first, next))
			return
		}
		w.ahead[i].Store(p.HighWatermark - p.Records[n-1].Offset - 1)
	}
	if w.q.push(i, p.Records, now) {
		r.m.pauses.Inc()
		r.cl.PauseFetchPartitions(r.partitions(p.Partition))
	}
}

func recycle(recs []*kgo.Record) {
	for _, r := range recs {
		r.Recycle()
	}
}

// partitions names slot p's partitions to the client.
func (r *Runner) partitions(p int32) map[string][]int32 {
	m := make(map[string][]int32, len(r.inputs))
	for _, in := range r.inputs {
		m[in.Topic] = []int32{p}
	}
	return m
}

// gauge sets what is measured once a second.
func (r *Runner) gauge(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	bytes, oldest, behind := 0, time.Duration(0), time.Duration(0)
	ahead := make([]int64, len(r.inputs))
	for _, w := range r.workers {
		lv := w.q.level()
		bytes += lv.bytes
		waits := lv.records > 0
		if waits {
			oldest = max(oldest, now.Sub(lv.oldest))
		}
		for i := range ahead {
			n := w.ahead[i].Load()
			ahead[i] += n
			waits = waits || n > 0
		}
		if at := w.flushedAt.Load(); waits && at > 0 {
			behind = max(behind, now.Sub(time.UnixMilli(at)))
		}
	}
	r.m.slots.Set(float64(len(r.workers)))
	r.m.queueBytes.Set(float64(bytes))
	r.m.oldest.Set(oldest.Seconds())
	r.m.lagSeconds.Set(behind.Seconds())
	for i, in := range r.inputs {
		r.m.lag.WithLabelValues(in.Topic).Set(float64(ahead[i]))
	}
}
