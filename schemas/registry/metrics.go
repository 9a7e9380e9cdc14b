package registry

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of the client.
type metrics struct {
	requests *prometheus.CounterVec // by operation and result
	cached   *prometheus.CounterVec // by operation
	writes   *prometheus.CounterVec // of the cache file, by result
	schemas  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "foodflow_registry_requests_total",
			Help: "Tries to ask the schema registry.",
		}, []string{"operation", "result"}),
		cached: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "foodflow_registry_cache_answers_total",
			Help: "Questions answered from what the registry said before.",
		}, []string{"operation"}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "foodflow_registry_cache_writes_total",
			Help: "Replacements of the cache file.",
		}, []string{"result"}),
		schemas: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "foodflow_registry_cached_schemas",
			Help: "Schemas remembered.",
		}),
	}
	for _, op := range []string{opRegister, opSchema} {
		m.cached.WithLabelValues(op)
		for _, res := range []string{"ok", "refused", "unreachable"} {
			m.requests.WithLabelValues(op, res)
		}
	}
	m.writes.WithLabelValues("ok")
	m.writes.WithLabelValues("failed")
	for _, c := range []prometheus.Collector{m.requests, m.cached, m.writes, m.schemas} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics of the registry client: %w", err)
		}
	}
	return m, nil
}
