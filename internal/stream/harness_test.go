package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	events   = "events"
	readings = "readings"
)

// world is a Kafka of one broker, a store that deduplicates by token as
// ClickHouse does, and a snapshot store.
type world struct {
	t     *testing.T
	kafka *kfake.Cluster
	seeds []string
	opts  []kgo.Opt
	store *tokenStore
	snaps *memSnapshots
	cfg   Config
	anew  func(Slot, []int64) error // nil: nothing stands against it
}

func newWorld(t *testing.T, partitions int32) *world {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, events, readings),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cfg := DefaultConfig()
	cfg.Group, cfg.Inputs = "g", []string{events, readings}
	cfg.BatchRecords, cfg.MaxAge, cfg.Idle = 70, 20*time.Millisecond, 5*time.Millisecond
	cfg.SnapshotEvery, cfg.SnapshotRecords = time.Millisecond, 150
	return &world{t: t, kafka: c, seeds: c.ListenAddrs(), cfg: cfg, store: &tokenStore{tokens: map[string]bool{}, rows: map[string]int{}}, snaps: &memSnapshots{m: map[Ref][]byte{}, of: map[Ref]int32{}}}
}

func (w *world) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(slices.Concat([]kgo.Opt{kgo.SeedBrokers(w.seeds...), kgo.MetadataMinAge(10 * time.Millisecond)}, w.opts, opts)...)
}

// produce writes n records to each partition of each topic.
func (w *world) produce(partitions int32, n int) {
	w.t.Helper()
	w.produceTo([]string{events, readings}, partitions, n)
}

func (w *world) produceTo(topics []string, partitions int32, n int) {
	w.t.Helper()
	cl, err := w.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer cl.Close()
	for i := range n {
		for p := range partitions {
			for _, topic := range topics {
				cl.Produce(w.t.Context(), &kgo.Record{Topic: topic, Partition: p, Value: binary.BigEndian.AppendUint32(nil, uint32(i))}, nil)
			}
		}
	}
	if err := cl.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) runner(reg prometheus.Registerer) *Runner {
	w.t.Helper()
	r, err := New(w.cfg, Deps{
		Client: w.client, Snapshots: w.snaps, Registry: reg,
		Logger: slog.New(slog.DiscardHandler),
		Tasks:  func(s Slot) (Task, error) { return &hashTask{slot: s, store: w.store}, nil },
		Anew: func(_ context.Context, s Slot, from []int64) error {
			if w.anew == nil {
				return nil
			}
			return w.anew(s, from)
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// patience is how long a test waits for what must come; only a fault lets it
// pass.
const patience = 2 * time.Minute

// until waits for a condition on what the store holds.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("gave up waiting: %s", what)
}

// tokenStore counts rows by source position and drops inserts whose token it
// has seen.
type tokenStore struct {
	mu     sync.Mutex
	tokens map[string]bool
	rows   map[string]int
	hits   int // inserts dropped by their token
	fail   func() error
	blind  bool // ignore tokens: the negative control
}

func (s *tokenStore) insert(token string, rows []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return err
		}
	}
	if s.tokens[token] && !s.blind {
		s.hits++
		return nil
	}
	s.tokens[token] = true
	for _, r := range rows {
		s.rows[r]++
	}
	return nil
}

func (s *tokenStore) count() (rows, extra int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.rows {
		rows++
		extra += n - 1
	}
	return rows, extra
}

// hashTask's state is an order-sensitive hash of everything folded, and each
// row carries it, so that any difference in order or bounds shows in the rows.
type hashTask struct {
	slot  Slot
	store *tokenStore
	sum   uint64
	rows  []string
}

func (h *hashTask) Fold(r *Record) error {
	if string(r.Value) == "poison" {
		return &Poison{Reason: "body", Err: errors.New("poison")}
	}
	f := fnv.New64a()
	fmt.Fprint(f, h.sum, r.Input, r.Offset)
	h.sum = f.Sum64()
	h.rows = append(h.rows, fmt.Sprint(h.slot.Inputs[r.Input].Topic, "/", h.slot.Partition, "@", r.Offset, "=", h.sum))
	return nil
}
func (h *hashTask) Settle(Batch) error { return nil }
func (h *hashTask) Unsettled() bool    { return false }
func (h *hashTask) Flush(_ context.Context, b Batch) error {
	if err := h.store.insert(fmt.Sprint(b.Slot.Partition, b.From, b.To), h.rows); err != nil {
		return err
	}
	h.rows = h.rows[:0]
	return nil
}
func (h *hashTask) Discard() { h.rows = h.rows[:0] }
func (h *hashTask) AppendState(dst []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, h.sum), nil
}

func (h *hashTask) RestoreState(src []byte) error {
	h.sum = binary.BigEndian.Uint64(src)
	return nil
}
func (h *hashTask) Release() {}

type memSnapshots struct {
	mu sync.Mutex
	m  map[Ref][]byte
	of map[Ref]int32 // whose they are
	n  int64
}

func (s *memSnapshots) Has(_ context.Context, p int32, r Ref) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for have := range s.m {
		if s.of[have] == p && (have == r || r == (Ref{})) {
			return true, nil
		}
	}
	return false, nil
}

func (s *memSnapshots) Save(_ context.Context, p int32, b []byte) (Ref, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	s.m[Ref{s.n, s.n + 1}], s.of[Ref{s.n, s.n + 1}] = b, p
	return Ref{s.n, s.n + 1}, nil
}

func (s *memSnapshots) Load(_ context.Context, _ int32, r Ref) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.m[r]; ok {
		return b, nil
	}
	return nil, ErrNoSnapshot
}

func (s *memSnapshots) Forget(_ context.Context, _ int32, r Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, r)
}
