package run

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the figures of the tasks of a process.
type Metrics struct {
	readings, copies, unknown, events, anomalies, parts prometheus.Counter
	dead                                                *prometheus.CounterVec
}

// NewMetrics makes and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	c := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_run_" + name, Help: help})
	}
	m := &Metrics{
		readings:  c("readings_total", "Readings made durable, copies left out."),
		copies:    c("copies_total", "Readings and events dropped because the same one came before, or may have: those of a replay that had lost its letter."),
		unknown:   c("readings_beyond_window_total", "Readings too old for the anti-replay window to judge; they count."),
		events:    c("line_events_total", "Line events made durable."),
		anomalies: c("anomalies_total", "Anomalies found."),
		parts:     c("oee_parts_total", "OEE parts computed."),
		dead:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_run_dead_letters_total", Help: "Dead letters written, repetitions included."}, []string{"reason"}),
	}
	for _, r := range []string{"frame", "unknown_schema", "body", "late", "full"} {
		m.dead.WithLabelValues(r)
	}
	if reg != nil {
		reg.MustRegister(m.readings, m.copies, m.unknown, m.events, m.anomalies, m.parts, m.dead)
	}
	return m
}

func (m *Metrics) deadLetter(reason string) { m.dead.WithLabelValues(reason).Inc() }

func (m *Metrics) add(c *counts) {
	m.readings.Add(float64(c.readings))
	m.copies.Add(float64(c.copies))
	m.unknown.Add(float64(c.unknown))
	m.events.Add(float64(c.events))
	m.anomalies.Add(float64(c.anomalies))
	m.parts.Add(float64(c.parts))
}
