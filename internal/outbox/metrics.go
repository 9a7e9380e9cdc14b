package outbox

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	rows     prometheus.Counter
	refused  prometheus.Counter
	failures prometheus.Counter
	publish  prometheus.Histogram
	waiting  prometheus.Gauge
	oldest   prometheus.Gauge
	leader   prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		rows:     prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_outbox_rows_total", Help: "Rows acked by Kafka and cleared."}),
		refused:  prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_outbox_refused_total", Help: "Rows that Kafka refuses for what they are, set aside; a person must look."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_outbox_failures_total", Help: "Batches that did not get through and are tried again."}),
		publish:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "foodflow_outbox_publish_duration_seconds", Help: "Time until Kafka has acked a batch.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		waiting:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "foodflow_outbox_waiting_rows", Help: "Rows found at the last look, at most a batch."}),
		oldest:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "foodflow_outbox_oldest_seconds", Help: "Age of the oldest row at the last look."}),
		leader:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "foodflow_outbox_leader", Help: "1 while this process carried last."}),
	}
	if reg != nil {
		reg.MustRegister(m.rows, m.refused, m.failures, m.publish, m.waiting, m.oldest, m.leader)
	}
	return m
}

func (m *metrics) lead(yes bool) {
	if yes {
		m.leader.Set(1)
		return
	}
	m.leader.Set(0)
}

func (m *metrics) depth(rows []row) {
	m.waiting.Set(float64(len(rows)))
	m.oldest.Set(0)
	if len(rows) > 0 {
		m.oldest.Set(time.Since(rows[0].created).Seconds())
	}
}

func (m *metrics) carried(n int) { m.rows.Add(float64(n)) }
