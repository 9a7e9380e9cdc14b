package ingest

import (
	"errors"
	"sync"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/intake"
	"github.com/foodflow/foodflow/internal/plant"
)

// Quotas keep one producer from taking the place of the others: what each may
// send, and how much it may hold in flight.
type Quotas struct {
	intake.Quotas
	// TenantShare is the part of Limits.InFlight that one tenant may hold.
	TenantShare float64
}

// DefaultQuotas set no rate, which only the operator knows, but leave other
// tenants half of the bytes in flight.
func DefaultQuotas() Quotas { return Quotas{Quotas: intake.DefaultQuotas(), TenantShare: 0.5} }

// Validate names every fault at once.
func (q Quotas) Validate() error {
	errs := []error{q.Quotas.Validate()}
	if q.TenantShare <= 0 || q.TenantShare > 1 {
		errs = append(errs, errors.New("ingest.limits.quotas.tenant_share: must be above 0 and at most 1"))
	}
	return errors.Join(errs...)
}

// Meter looks up what a principal may send.
func (s *Service) Meter(who directory.Principal) *intake.Meter { return s.quotas.Meter(who) }

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
	if err := s.Take(tenant, n); err != nil {
		return nil, err
	}
	return func() { s.Give(tenant, n) }, nil
}

// Take is Reserve for who keeps count of what to give back by itself: n bytes,
// which must not be more than a tenant's share.
func (s *Service) Take(tenant plant.ID, n int64) error {
	if !s.shares.take(tenant, n) {
		s.m.refused.WithLabelValues("tenant_in_flight").Inc()
		return fault.NewUnavailable(time.Second, nil, "too many requests of this tenant are waiting for Kafka")
	}
	if !s.inFlight.TryAcquire(n) {
		s.shares.give(tenant, n)
		s.m.refused.WithLabelValues("in_flight").Inc()
		return fault.NewUnavailable(time.Second, nil, "too many requests are waiting for Kafka")
	}
	return nil
}

// Give gives back what Take took.
func (s *Service) Give(tenant plant.ID, n int64) {
	s.inFlight.Release(n)
	s.shares.give(tenant, n)
}
