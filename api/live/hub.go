package live

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Hub reads Kafka and hands messages to its listeners.
type Hub struct {
	cfg   Config
	kafka broker.Config
	dec   Decoder
	dir   *directory.Store
	log   *slog.Logger
	m     *metrics

	replays chan struct{} // one for each listener that is being resumed

	mu     sync.Mutex // guards the rest
	subs   map[plant.ID]map[*Sub]struct{}
	total  int
	closed bool
	pos    broker.Position // nil until the topics' ends are known
	watch  *broker.Watch   // nil while no sensor's readings are wanted, or Kafka is away
	wanted map[string]int  // keys of readings that listeners want
}

type metrics struct {
	listeners prometheus.Gauge
	messages  prometheus.Counter
	unread    prometheus.Counter
	ended     *prometheus.CounterVec // by reason
}

// reasons why a listener ends, for the metric.
func reasons() []string { return []string{"left", "slow", "expired", "stopping"} }

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		listeners: prometheus.NewGauge(prometheus.GaugeOpts{Name: "foodflow_live_listeners", Help: "Clients that listen to the live stream."}),
		messages:  prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_live_messages_total", Help: "Messages handed to listeners."}),
		unread:    prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_live_unreadable_total", Help: "Records that could not be read."}),
		ended:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_live_ended_total", Help: "Listeners that ended, by reason."}, []string{"reason"}),
	}
	for _, r := range reasons() {
		m.ended.WithLabelValues(r)
	}
	if reg != nil {
		reg.MustRegister(m.listeners, m.messages, m.unread, m.ended)
	}
	return m
}

// New makes a hub; it reads nothing before Run.
func New(cfg Config, kafka broker.Config, dec Decoder, dir *directory.Store, reg prometheus.Registerer, log *slog.Logger) (*Hub, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Hub{
		cfg: cfg, kafka: kafka, dec: dec, dir: dir, log: log, m: newMetrics(reg), replays: make(chan struct{}, cfg.Replays),
		subs: map[plant.ID]map[*Sub]struct{}{}, wanted: map[string]int{},
	}, nil
}

// again is the pause before Kafka is asked once more.
const again = time.Second

// Run reads until the context ends, and returns nil then.
func (h *Hub) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.readings(ctx)
	}()
	defer func() { <-done }()
	for ctx.Err() == nil {
		pos, err := broker.Ends(ctx, h.kafka, topics()...)
		if err != nil {
			if ctx.Err() == nil {
				h.log.WarnContext(ctx, "live stream can't see the topics yet", "error", err)
			}
			pause(ctx)
			continue
		}
		h.mu.Lock()
		h.pos = pos.Clone()
		h.mu.Unlock()
		return broker.Follow(ctx, h.kafka, pos, h.log, h.apply)
	}
	return nil
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(again):
	}
}

// readings follows the partitions of the sensors that listeners choose.
func (h *Hub) readings(ctx context.Context) {
	for ctx.Err() == nil {
		w, err := broker.NewWatch(ctx, h.kafka, broker.TopicReadings)
		if err != nil {
			pause(ctx)
			continue
		}
		h.mu.Lock()
		h.watch = w
		for key := range h.wanted {
			w.Want([]byte(key))
		}
		h.mu.Unlock()
		if err := w.Run(ctx, h.log, h.apply); err != nil {
			h.log.WarnContext(ctx, "readings are not followed", "error", err)
		}
		h.mu.Lock()
		h.watch = nil
		h.mu.Unlock()
		w.Close()
	}
}

// apply hands one record on. It never waits.
func (h *Hub) apply(e *broker.Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	live := e.Topic != broker.TopicReadings
	if live {
		if p := h.pos[e.Topic]; int(e.Partition) < len(p) {
			p[e.Partition] = e.Offset + 1
		}
	}
	if h.total == 0 {
		return
	}
	d, err := decode(h.dec, h.dir, e)
	if err != nil {
		h.m.unread.Inc()
		return
	}
	for s := range h.subs[d.tenant] {
		if !s.wants(&d.Message) || !d.finish() {
			continue
		}
		if live && d.ID == "" {
			d.ID = formatID(h.pos)
		}
		select {
		case s.queue <- d.Message:
			h.m.messages.Inc()
		default:
			h.end(s, ErrSlow)
		}
	}
}

// Why a listener ended.
var (
	ErrSlow     = errors.New("slow")
	ErrStopping = errors.New("stopping")
	ErrExpired  = errors.New("expired")
	errLeft     = errors.New("left")
)

// Subscribe adds a listener of a tenant, which must be left.
func (h *Hub) Subscribe(tenant plant.ID, f Filter) (*Sub, error) {
	if len(f.Sensors) > h.cfg.Sensors {
		return nil, fault.NewInvalid(fault.Item{Location: "sensors", Rule: "range", Message: "are too many"})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, fault.NewUnavailable(again, nil, "the service is stopping")
	case len(h.subs[tenant]) >= h.cfg.Tenant:
		e := fault.New(fault.RateLimited, "the tenant has %d listeners, which is the most", h.cfg.Tenant)
		e.RetryAfter = 10 * time.Second
		return nil, e
	case h.total >= h.cfg.Total:
		return nil, fault.NewUnavailable(10*time.Second, nil, "there are too many listeners")
	}
	s := &Sub{h: h, tenant: tenant, filter: f, queue: make(chan Message, h.cfg.Buffer), gone: make(chan struct{}), start: h.pos.Clone(), sampled: map[plant.ID]time.Time{}}
	if h.subs[tenant] == nil {
		h.subs[tenant] = map[*Sub]struct{}{}
	}
	h.subs[tenant][s] = struct{}{}
	h.total++
	h.m.listeners.Set(float64(h.total))
	for _, key := range f.Sensors {
		if h.wanted[string(key[:])]++; h.wanted[string(key[:])] == 1 && h.watch != nil {
			h.watch.Want(key[:])
		}
	}
	return s, nil
}

// end takes a listener out; h.mu is held.
func (h *Hub) end(s *Sub, why error) {
	if _, ok := h.subs[s.tenant][s]; !ok {
		return
	}
	delete(h.subs[s.tenant], s)
	if len(h.subs[s.tenant]) == 0 {
		delete(h.subs, s.tenant)
	}
	h.total--
	h.m.listeners.Set(float64(h.total))
	h.m.ended.WithLabelValues(why.Error()).Inc()
	for _, key := range s.filter.Sensors {
		if h.wanted[string(key[:])]--; h.wanted[string(key[:])] > 0 {
			continue
		}
		delete(h.wanted, string(key[:]))
		if h.watch != nil {
			h.watch.Leave(key[:])
		}
	}
	s.why = why
	close(s.gone)
}

// Stop ends every listener and takes no more.
func (h *Hub) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, subs := range h.subs {
		for s := range subs {
			h.end(s, ErrStopping)
		}
	}
}

// Listeners is how many there are.
func (h *Hub) Listeners() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.total
}
