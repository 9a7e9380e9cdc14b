package intake

import (
	"errors"
	"net/http"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
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
}

// DefaultQuotas set no rate, which only the operator knows.
func DefaultQuotas() Quotas { return Quotas{Window: 5 * time.Second} }

// Validate names the fault.
func (q Quotas) Validate() error {
	if q.Window <= 0 {
		return errors.New("ingest.limits.quotas.window: must be positive")
	}
	return nil
}

// maxBuckets bounds the memory of quotas: about 300 bytes each, four a key.
const maxBuckets = 200_000

// Gauge holds the quotas of a process. It is safe for concurrent use.
type Gauge struct {
	dir     *directory.Store
	quotas  Quotas
	buckets *quota.Limiter[plant.ID]
	now     func() time.Time
	refused func()
}

// NewGauge makes a gauge; refused is called for each refusal.
func NewGauge(dir *directory.Store, quotas Quotas, now func() time.Time, refused func()) *Gauge {
	return &Gauge{dir: dir, quotas: quotas, buckets: quota.New[plant.ID](maxBuckets), now: now, refused: refused}
}

// Meter holds one request to the quotas of its tenant and key.
type Meter struct {
	g      *Gauge
	who    directory.Principal
	items  [2]quota.Policy // tenant, key
	bytes  [2]quota.Policy
	result quota.Result
}

// Meter looks up what a principal may send.
func (g *Gauge) Meter(who directory.Principal) *Meter {
	m := &Meter{g: g, who: who, result: quota.Result{OK: true}}
	tenant, key := g.dir.Quotas(who)
	tenant, key = tenant.Or(g.quotas.Tenant), key.Or(g.quotas.Key)
	m.items = [2]quota.Policy{g.policy("tenant-items", tenant.ItemsPerSecond), g.policy("key-items", key.ItemsPerSecond)}
	m.bytes = [2]quota.Policy{g.policy("tenant-bytes", tenant.BytesPerSecond), g.policy("key-bytes", key.BytesPerSecond)}
	return m
}

// Limited reports whether there is any quota to hold a request to.
func (m *Meter) Limited() bool {
	for i := range m.items {
		if m.items[i].Limited() || m.bytes[i].Limited() {
			return true
		}
	}
	return false
}

func (g *Gauge) policy(name string, perSecond float64) quota.Policy {
	return quota.Policy{Name: name, PerSecond: perSecond, Burst: max(perSecond*g.quotas.Window.Seconds(), 1)}
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

// Take takes bytes and items at once.
func (m *Meter) Take(bytes int64, items int) error {
	return m.take(m.charge(m.bytes, float64(bytes)), m.charge(m.items, float64(items)))
}

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
	r := m.g.buckets.Take(m.g.now(), all...)
	m.result.Join(r)
	if !r.OK {
		m.g.refused()
	}
	return r.Err()
}
