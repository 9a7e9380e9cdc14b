package ingest

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/quota"
)

// Quotas keep one producer from taking the place of the others.
type Quotas struct {
	// Tenant and Key hold where the directory says nothing of its own: what all
	// keys of a tenant, and what each key, may send. 0: no limit.
	Tenant, Key directory.Quota
	// Window is how much of a quota may come at once, as time.
	Window time.Duration
	// TenantShare is the part of Limits.InFlight that one tenant may hold.
	TenantShare float64
}

// DefaultQuotas set no rate, which only the operator knows, but leave other
// tenants half of the bytes in flight.
func DefaultQuotas() Quotas { return Quotas{Window: 5 * time.Second, TenantShare: 0.5} }

// Validate names every fault at once.
func (q Quotas) Validate() error {
	var errs []error
	if q.Window <= 0 {
		errs = append(errs, errors.New("ingest.limits.quotas.window: must be positive"))
	}
	if q.TenantShare <= 0 || q.TenantShare > 1 {
		errs = append(errs, errors.New("ingest.limits.quotas.tenant_share: must be above 0 and at most 1"))
	}
	return errors.Join(errs...)
}

// maxBuckets bounds the memory of quotas: about 300 bytes each, four a key.
const maxBuckets = 200_000

// Meter holds one request to the quotas of its tenant and key.
type Meter struct {
	s      *Service
	who    directory.Principal
	items  [2]quota.Policy // tenant, key
	bytes  [2]quota.Policy
	result quota.Result
}

// Meter looks up what a principal may send.
func (s *Service) Meter(who directory.Principal) *Meter {
	m := &Meter{s: s, who: who, result: quota.Result{OK: true}}
	tenant, key := s.dir.Quotas(who)
	tenant, key = tenant.Or(s.limits.Quotas.Tenant), key.Or(s.limits.Quotas.Key)
	m.items = [2]quota.Policy{s.policy("tenant-items", tenant.ItemsPerSecond), s.policy("key-items", key.ItemsPerSecond)}
	m.bytes = [2]quota.Policy{s.policy("tenant-bytes", tenant.BytesPerSecond), s.policy("key-bytes", key.BytesPerSecond)}
	return m
}

func (s *Service) policy(name string, perSecond float64) quota.Policy {
	return quota.Policy{Name: name, PerSecond: perSecond, Burst: max(perSecond*s.limits.Quotas.Window.Seconds(), 1)}
}

// Admit takes the bytes of a body before it is read, as far as they are known,
// and refuses who has no item left, before anything is spent on the request.
func (m *Meter) Admit(bytes int64) error {
	return m.take(m.charge(m.bytes, float64(max(bytes, 0))), m.charge(m.items, 0))
}

// Bytes takes bytes that were not known before the body was read.
func (m *Meter) Bytes(n int64) error { return m.take(m.charge(m.bytes, float64(n))) }

// Items takes what a request turned out to hold, good or bad: both were read.
func (m *Meter) Items(n int) error { return m.take(m.charge(m.items, float64(n))) }

// WriteHeader tells the producer how it stands.
func (m *Meter) WriteHeader(h http.Header) { m.result.WriteHeader(h) }

type charges = [2]quota.Charge[plant.ID]

func (m *Meter) charge(by [2]quota.Policy, cost float64) charges {
	return charges{{Who: m.who.Tenant, Policy: by[0], Cost: cost}, {Who: m.who.KeyID, Policy: by[1], Cost: cost}}
}

func (m *Meter) take(of ...charges) error {
	all := make([]quota.Charge[plant.ID], 0, 4)
	for _, c := range of {
		for _, one := range c {
			if one.Policy.Limited() {
				all = append(all, one)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	r := m.s.quotas.Take(m.s.now(), all...)
	m.result.Join(r)
	if !r.OK {
		m.s.m.refused.WithLabelValues("quota").Inc()
	}
	return r.Err()
}

// shares are the bytes in flight that each tenant holds.
type shares struct {
	most int64

	mu   sync.Mutex // guards held
	held map[plant.ID]int64
}

func (s *shares) take(tenant plant.ID, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[tenant]+n > s.most {
		return false
	}
	s.held[tenant] += n
	return true
}

func (s *shares) give(tenant plant.ID, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[tenant] -= n; s.held[tenant] <= 0 {
		delete(s.held, tenant)
	}
}

// Reserve takes room for n bytes of a tenant's body, or refuses at once: a
// producer that waits is told when to come back. release gives it back.
func (s *Service) Reserve(tenant plant.ID, n int64) (release func(), err error) {
	n = min(n, s.shares.most)
	if !s.shares.take(tenant, n) {
		s.m.refused.WithLabelValues("tenant_in_flight").Inc()
		return nil, fault.NewUnavailable(time.Second, nil, "too many requests of this tenant are waiting for Kafka")
	}
	if !s.inFlight.TryAcquire(n) {
		s.shares.give(tenant, n)
		s.m.refused.WithLabelValues("in_flight").Inc()
		return nil, fault.NewUnavailable(time.Second, nil, "too many requests are waiting for Kafka")
	}
	return func() { s.inFlight.Release(n); s.shares.give(tenant, n) }, nil
}
