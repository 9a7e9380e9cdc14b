package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/intake"
	"github.com/foodflow/foodflow/internal/plant"
)

// Kind is what a batch holds.
type Kind uint8

// The kinds.
const (
	Readings Kind = iota
	Events
)

// Topic is where a kind goes.
func (k Kind) Topic() string {
	if k == Events {
		return broker.TopicLineEvents
	}
	return broker.TopicReadings
}

// List names the items of a kind in a request.
func (k Kind) List() string {
	if k == Events {
		return "events"
	}
	return "readings"
}

// Output publishes a batch's records and returns once all are acknowledged;
// Begin returns at once and calls done then.
type Output interface {
	Publish(ctx context.Context, topic string, b *Batch) error
	Begin(ctx context.Context, topic string, b *Batch, done func(error))
}

// Service joins directory, encoder and output for the doors.
type Service struct {
	dir    *directory.Store
	enc    Encoder
	out    Output
	limits Limits
	now    func() time.Time

	inFlight *semaphore.Weighted
	shares   *shares
	quotas   *intake.Gauge
	batches  sync.Pool
	m        *metrics
}

// NewService makes a service.
func NewService(dir *directory.Store, enc Encoder, out Output, limits Limits, reg prometheus.Registerer) (*Service, error) {
	if err := limits.Validate(); err != nil {
		return nil, err
	}
	s := &Service{
		dir: dir, enc: enc, out: out, limits: limits, now: time.Now, m: newMetrics(reg),
		inFlight: semaphore.NewWeighted(limits.InFlight),
		shares:   &shares{most: int64(float64(limits.InFlight) * limits.Quotas.TenantShare), held: map[plant.ID]int64{}},
	}
	s.quotas = intake.NewGauge(dir, limits.Quotas.Quotas, s.now, s.m.refused.WithLabelValues("quota").Inc)
	s.batches.New = func() any { return NewBatch(dir, enc, limits) }
	return s, nil
}

// Limits are the service's.
func (s *Service) Limits() Limits { return s.limits }

// Authenticate gives who a key belongs to, if it may send.
func (s *Service) Authenticate(key string) (directory.Principal, error) {
	if key == "" {
		return directory.Principal{}, fault.New(fault.Unauthenticated, "an API key is required")
	}
	p, err := s.dir.Authenticate(key, s.now())
	if err != nil {
		return directory.Principal{}, &fault.Error{Kind: fault.Unauthenticated, Detail: "the API key is not valid", Cause: err}
	}
	if !p.Can(directory.ScopeIngest) {
		return directory.Principal{}, fault.New(fault.Forbidden, "the API key may not send readings")
	}
	return p, nil
}

// Still says whether a principal who was authenticated earlier may go on
// sending: doors with long connections ask again and again.
func (s *Service) Still(p directory.Principal) error {
	return s.dir.Still(p, directory.ScopeIngest, s.now())
}

// Using notes that the key of a principal who was authenticated earlier is still
// put to use.
func (s *Service) Using(p directory.Principal) { s.dir.Using(p, s.now()) }

// Admits says whether anything of a tenant may be taken at all.
func (s *Service) Admits(tenant plant.ID) error { return s.dir.Admits(tenant) }

// Begin lends an empty batch; End takes it back.
func (s *Service) Begin(tenant plant.ID, kind Kind) *Batch {
	b, _ := s.batches.Get().(*Batch)
	b.Reset(tenant, s.now().UnixMilli(), kind.List())
	return b
}

// BeginKept is Begin for a message that was kept under an id since it came, at a
// time in Unix milliseconds. Its items are the same each time that it is taken in.
func (s *Service) BeginKept(tenant plant.ID, kind Kind, came int64, id plant.ID) *Batch {
	b := s.Begin(tenant, kind)
	b.now, b.kept = came, id
	return b
}

// maxKeptArena is how much memory a batch may keep between requests.
const maxKeptArena = 4 << 20

// End takes a batch back.
func (s *Service) End(b *Batch) {
	if cap(b.arena) <= maxKeptArena && !b.left {
		s.batches.Put(b)
	}
}

// Publish sends the batch's good records and returns once Kafka has them all.
// With partial, bad items are left out; without, any bad item refuses all.
func (s *Service) Publish(ctx context.Context, kind Kind, b *Batch, partial bool) error {
	if !partial || b.Len() == 0 {
		if err := b.Err(); err != nil {
			s.m.items.WithLabelValues(kind.List(), "refused").Add(float64(b.Items()))
			return err
		}
	}
	s.m.items.WithLabelValues(kind.List(), "refused").Add(float64(b.Bad()))
	began := time.Now()
	if err := s.out.Publish(ctx, kind.Topic(), b); err != nil {
		s.m.refused.WithLabelValues("publish").Inc()
		return err
	}
	s.m.ack.Observe(time.Since(began).Seconds())
	s.m.items.WithLabelValues(kind.List(), "accepted").Add(float64(b.Len()))
	return nil
}

// PublishLater is Publish for a door that goes on meanwhile. The batch must have
// no bad items. done is called once, when Kafka answered.
func (s *Service) PublishLater(ctx context.Context, kind Kind, b *Batch, done func(error)) {
	began := time.Now()
	s.out.Begin(ctx, kind.Topic(), b, func(err error) {
		if err != nil {
			s.m.refused.WithLabelValues("publish").Inc()
		} else {
			s.m.ack.Observe(time.Since(began).Seconds())
			s.m.items.WithLabelValues(kind.List(), "accepted").Add(float64(b.Len()))
		}
		done(err)
	})
}

// Refused counts the bad items of a batch that a door won't publish.
func (s *Service) Refused(kind Kind, b *Batch) {
	s.m.items.WithLabelValues(kind.List(), "refused").Add(float64(max(1, b.Bad())))
}

// TenantByKey finds a tenant by key or id.
func (s *Service) TenantByKey(key string) (plant.ID, bool) {
	if t, ok := s.dir.TenantByKey(key); ok {
		return t.ID, true
	}
	id, err := plant.ParseID(key)
	return id, err == nil
}

// metrics are the figures of ingest.
type metrics struct {
	items   *prometheus.CounterVec
	refused *prometheus.CounterVec
	ack     prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		items:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_ingest_items_total", Help: "Items by what became of them."}, []string{"kind", "outcome"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_ingest_refused_requests_total", Help: "Requests refused for reasons that are not the producer's."}, []string{"reason"}),
		ack:     prometheus.NewHistogram(prometheus.HistogramOpts{Name: "foodflow_ingest_ack_duration_seconds", Help: "Time until Kafka acknowledged a request's records.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}),
	}
	for _, k := range []Kind{Readings, Events} {
		m.items.WithLabelValues(k.List(), "accepted")
		m.items.WithLabelValues(k.List(), "refused")
	}
	for _, reason := range []string{"in_flight", "tenant_in_flight", "publish", "quota"} {
		m.refused.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(m.items, m.refused, m.ack)
	}
	return m
}
