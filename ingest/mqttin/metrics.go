package mqttin

import "github.com/prometheus/client_golang/prometheus"

// metrics are the figures of the door.
type metrics struct {
	logins         *prometheus.CounterVec
	refused        prometheus.Counter
	unacknowledged prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		logins:         prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_mqttin_logins_total", Help: "MQTT log-ins."}, []string{"outcome"}),
		refused:        prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_mqttin_refused_messages_total", Help: "Messages that could not be read."}),
		unacknowledged: prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_mqttin_unacknowledged_messages_total", Help: "Messages that Kafka didn't take; their clients were disconnected."}),
	}
	m.logins.WithLabelValues("accepted")
	m.logins.WithLabelValues("refused")
	if reg != nil {
		reg.MustRegister(m.logins, m.refused, m.unacknowledged)
	}
	return m
}
