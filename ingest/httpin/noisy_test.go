package httpin

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// slowKafka acknowledges so many records a second, one batch after the other,
// as a cluster at its capacity does. Time is the bubble's, so what is measured
// is exact.
type slowKafka struct {
	perSecond float64

	mu      sync.Mutex // guards the rest
	free    time.Time  // when it has done what it was given
	waiting int        // bytes
	peak    int
	acked   int
}

func (k *slowKafka) Publish(_ context.Context, _ string, b *ingest.Batch) error {
	size := 0
	for i := range b.Len() {
		_, v := b.Record(i)
		size += len(v)
	}
	k.mu.Lock()
	if now := time.Now(); k.free.Before(now) {
		k.free = now
	}
	k.free = k.free.Add(time.Duration(float64(b.Len()) / k.perSecond * float64(time.Second)))
	k.waiting += size
	k.peak = max(k.peak, k.waiting)
	until := k.free
	k.mu.Unlock()
	time.Sleep(time.Until(until))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting -= size
	k.acked += b.Len()
	return nil
}

func (k *slowKafka) Begin(ctx context.Context, topic string, b *ingest.Batch, done func(error)) {
	go func() { done(k.Publish(ctx, topic, b)) }()
}

// yard is a door for several tenants, each with a sensor "temp" and one key.
type yard struct {
	http.Handler
	kafka  *slowKafka
	store  *directory.Store
	keys   []string
	tenant []directory.Tenant
	apiKey []directory.APIKey
}

func newYard(t testing.TB, tenants int, limits ingest.Limits, perSecond float64) *yard {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	y := &yard{kafka: &slowKafka{perSecond: perSecond}, store: directory.NewStore()}
	for i := range tenants {
		tenant := directory.Tenant{ID: plant.NewID(), Key: fmt.Sprint("tenant-", i)}
		key := directory.NewKey()
		api := directory.APIKey{ID: plant.NewID(), Tenant: tenant.ID, Public: key.Public, Hash: key.Hash(), Scopes: []string{directory.ScopeIngest}}
		y.apply(t, 1, tenant)
		y.apply(t, 1, api)
		y.apply(t, 1, directory.Sensor{ID: plant.NewID(), Tenant: tenant.ID, Line: plant.NewID(), Key: "temp", Unit: "degC", Kind: "temperature"})
		y.keys, y.tenant, y.apiKey = append(y.keys, key.Reveal()), append(y.tenant, tenant), append(y.apiKey, api)
	}
	svc, err := ingest.NewService(y.store, codec, y.kafka, limits, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	y.Handler = New(DefaultConfig(), svc, slog.New(slog.DiscardHandler)).routes()
	return y
}

func (y *yard) apply(t testing.TB, version int64, thing any) {
	t.Helper()
	e, err := directory.EntryOf(version, thing)
	if err != nil {
		t.Fatal(err)
	}
	if err := y.store.Apply(&e); err != nil {
		t.Fatal(err)
	}
}

// post sends n readings as a tenant.
func (y *yard) post(tenant, n int) *httptest.ResponseRecorder {
	one := fmt.Sprintf(`{"sensor":"temp","ts":%d,"value":1}`, time.Now().UnixMilli())
	body := []byte(`{"readings":[` + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + `]}`)
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/readings", bytes.NewReader(body))
	r.Header.Set("X-API-Key", y.keys[tenant])
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	y.ServeHTTP(w, r)
	return w
}

// traffic is what one tenant sent and got.
type traffic struct {
	mu       sync.Mutex // guards the rest
	took     []time.Duration
	accepted int // readings
	statuses map[int]int
	mute     int // refusals without Retry-After
}

// drive sends a request of n readings every so often, each in a goroutine of its
// own as clients do that don't wait, until the end.
func (y *yard) drive(tenant, n int, every, length time.Duration, out *traffic) {
	out.statuses = map[int]int{}
	var wg sync.WaitGroup
	for began := time.Now(); time.Since(began) < length; time.Sleep(every) {
		wg.Go(func() {
			at := time.Now()
			w := y.post(tenant, n)
			out.mu.Lock()
			defer out.mu.Unlock()
			out.statuses[w.Code]++
			if w.Code == http.StatusAccepted {
				out.took = append(out.took, time.Since(at))
				out.accepted += n
			} else if after, err := strconv.Atoi(w.Header().Get("Retry-After")); err != nil || after < 1 {
				out.mute++
			}
		})
	}
	wg.Wait()
}

func (x *traffic) quantile(q float64) time.Duration {
	if len(x.took) == 0 {
		return 0
	}
	slices.Sort(x.took)
	return x.took[int(float64(len(x.took)-1)*q)]
}

// TestNoisyTenantHarmsNoOther (P24): tenant A sends at a hundred times its quota
// while B sends little. With quotas B is served as if it were alone; the control
// without them makes B wait, or turns it away.
func TestNoisyTenantHarmsNoOther(t *testing.T) {
	const capacity, quotaA, seconds = 10_000, 1000, 5
	run := func(t *testing.T, limits ingest.Limits, noisy bool) (a, b *traffic) {
		a, b = &traffic{}, &traffic{}
		synctest.Test(t, func(t *testing.T) {
			y := newYard(t, 2, limits, capacity)
			var wg sync.WaitGroup
			if noisy {
				wg.Go(func() { y.drive(0, 50, 50*time.Second/(100*quotaA), seconds*time.Second, a) })
			}
			wg.Go(func() { y.drive(1, 10, 20*time.Millisecond, seconds*time.Second, b) })
			wg.Wait()
			if y.kafka.acked != a.accepted+b.accepted {
				t.Errorf("%d readings were accepted, Kafka has %d", a.accepted+b.accepted, y.kafka.acked)
			}
		})
		return a, b
	}
	limits := ingest.DefaultLimits()
	limits.Body, limits.Decoded, limits.InFlight = 64<<10, 256<<10, 1<<20
	_, alone := run(t, limits, false)
	off := limits
	off.Quotas.TenantShare = 1
	offA, offB := run(t, off, true)
	on := limits
	on.Quotas.Tenant.ItemsPerSecond, on.Quotas.Window = quotaA, time.Second
	a, b := run(t, on, true)
	t.Logf("B alone:       p99 %v, %v", alone.quantile(0.99), alone.statuses)
	t.Logf("quotas on:     p99 %v, B %v; A %v, %d/s accepted of a quota of %d/s", b.quantile(0.99), b.statuses, a.statuses, a.accepted/seconds, quotaA)
	t.Logf("control, off:  p99 %v, B %v; A %v", offB.quantile(0.99), offB.statuses, offA.statuses)
	if len(b.statuses) != 1 || b.statuses[http.StatusAccepted] != alone.statuses[http.StatusAccepted] {
		t.Errorf("B was turned away: %v", b.statuses)
	}
	// A's own quota, as one burst of a second, may stand before B.
	if worst := quotaA * time.Second / capacity; b.quantile(0.99) > alone.quantile(0.99)+worst {
		t.Errorf("B waits %v, alone %v", b.quantile(0.99), alone.quantile(0.99))
	}
	if most := quotaA * (seconds + 1); a.accepted > most {
		t.Errorf("%d of A's readings were accepted, %d over its quota", a.accepted, a.accepted-most)
	}
	if least := quotaA * seconds * 95 / 100; a.accepted < least {
		t.Errorf("only %d of A's readings were accepted, its quota is %d", a.accepted, quotaA*seconds)
	}
	if a.statuses[http.StatusTooManyRequests] == 0 || a.mute > 0 {
		t.Errorf("A was answered %v, %d without Retry-After", a.statuses, a.mute)
	}
	if offB.quantile(0.99) < 3*b.quantile(0.99) && len(offB.statuses) == 1 {
		t.Errorf("without quotas B is served as well: the test shows nothing")
	}
}

// TestOverloadShedsAndLives (P23): three times what Kafka takes, from many
// tenants that each keep their quotas. What is accepted stays near the
// capacity, is answered in time and within the bytes in flight; the rest is told
// when to come back. Without the bound (control) the answers come after the
// clients' patience ended, and memory grows with the load.
func TestOverloadShedsAndLives(t *testing.T) {
	const capacity, seconds, tenants, n = 10_000, 15, 20, 100
	const patience = 5 * time.Second
	run := func(t *testing.T, inFlight int64) (good float64, late, peak int, all *traffic) {
		limits := ingest.DefaultLimits()
		limits.Body, limits.Decoded, limits.InFlight = 64<<10, 64<<10, inFlight
		all = &traffic{statuses: map[int]int{}}
		synctest.Test(t, func(t *testing.T) {
			y := newYard(t, tenants, limits, capacity)
			var each [tenants]traffic
			var wg sync.WaitGroup
			began := time.Now()
			for i := range each {
				wg.Go(func() { y.drive(i, n, tenants*n*time.Second/(3*capacity), seconds*time.Second, &each[i]) })
			}
			wg.Wait()
			for i := range each {
				all.took, all.accepted, all.mute = append(all.took, each[i].took...), all.accepted+each[i].accepted, all.mute+each[i].mute
				for code, k := range each[i].statuses {
					all.statuses[code] += k
				}
			}
			peak = y.kafka.peak
			for _, d := range all.took {
				if d <= patience {
					good += n / (capacity * time.Since(began).Seconds())
				} else {
					late += n
				}
			}
		})
		return good, late, peak, all
	}
	good, late, peak, all := run(t, 1<<20)
	cGood, cLate, cPeak, cAll := run(t, 1<<40)
	t.Logf("bounded:  goodput %.2f of capacity, %d late, peak %d KiB, p99 %v, %v", good, late, peak>>10, all.quantile(0.99), all.statuses)
	t.Logf("control:  goodput %.2f of capacity, %d late, peak %d KiB, p99 %v, %v", cGood, cLate, cPeak>>10, cAll.quantile(0.99), cAll.statuses)
	if good < 0.95 || late > 0 {
		t.Errorf("goodput %.2f of the capacity, %d late", good, late)
	}
	// A short reading is larger as a record than as JSON, at most by half.
	if peak > 2<<20 {
		t.Errorf("%d bytes wait, of requests of 1 MiB", peak)
	}
	if all.mute > 0 || all.statuses[http.StatusServiceUnavailable] == 0 || len(all.statuses) != 2 {
		t.Errorf("answers %v, %d refusals without Retry-After", all.statuses, all.mute)
	}
	if cLate == 0 || cPeak < 4*peak {
		t.Errorf("without the bound nothing is late and little waits: the test shows nothing")
	}
}

// TestQuotaOverrides: the directory's quota goes before the configuration's, a
// negative one has no limit, and a change holds at once.
func TestQuotaOverrides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := ingest.DefaultLimits()
		limits.Quotas.Window = time.Second
		limits.Quotas.Tenant.ItemsPerSecond = 100
		limits.Quotas.Key = directory.Quota{ItemsPerSecond: 50, BytesPerSecond: 1e6}
		y := newYard(t, 1, limits, 1e9)
		w := y.post(0, 30)
		if got := w.Header().Get("RateLimit-Policy"); w.Code != 202 || got != `1000000;w=1;name="key-bytes", 100;w=1;name="tenant-items", 50;w=1;name="key-items"` {
			t.Errorf("%d, policies %s", w.Code, got)
		}
		if w.Header().Get("RateLimit-Limit") != "50" || w.Header().Get("RateLimit-Remaining") != "20" {
			t.Errorf("headers %v", w.Header())
		}
		if w := y.post(0, 30); w.Code != 429 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "key-items") {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		y.apiKey[0].Quota.ItemsPerSecond = -1
		y.apply(t, 2, y.apiKey[0])
		if w := y.post(0, 60); w.Code != 202 || strings.Contains(w.Header().Get("RateLimit-Policy"), "key-items") {
			t.Errorf("a key without a limit: %d %v", w.Code, w.Header())
		}
		if w := y.post(0, 60); w.Code != 429 || !strings.Contains(w.Body.String(), "tenant-items") {
			t.Errorf("its tenant's quota no longer holds: %d %s", w.Code, w.Body)
		}
		y.tenant[0].Quota.ItemsPerSecond = 1e6
		y.apply(t, 2, y.tenant[0])
		time.Sleep(time.Millisecond)
		if w := y.post(0, 60); w.Code != 202 {
			t.Errorf("a raised quota does not hold: %d %s", w.Code, w.Body)
		}
	})
}
