package mqttin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a log-in, a message or a connection ended as it did: values of labels.
const (
	loginAccepted = "accepted"
	loginRefused  = "refused"
	loginBusy     = "tenant_busy"

	refusedPayload  = "payload"
	refusedName     = "name"
	refusedRights   = "rights"
	refusedPressure = "pressure"

	closedRevoked   = "revoked"
	closedTooLarge  = "too_large"
	closedFirst     = "no_connect"
	closedMalformed = "malformed"
	closedFull      = "full"
	closedRights    = "rights"
	closedQoS       = "qos"
	closedKafka     = "kafka"
	closedPanic     = "panic"
)

// metrics are the figures of the door.
type metrics struct {
	logins         *prometheus.CounterVec
	messages       *prometheus.CounterVec
	refused        *prometheus.CounterVec
	closed         *prometheus.CounterVec
	letters        prometheus.Counter
	unacknowledged prometheus.Counter
	held           prometheus.Counter
	ack            prometheus.Histogram
	qos            [3]prometheus.Counter // of messages
}

func newMetrics(s *Server, reg prometheus.Registerer) *metrics {
	m := &metrics{
		logins:         prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_mqttin_logins_total", Help: "MQTT log-ins."}, []string{"outcome"}),
		messages:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_mqttin_messages_total", Help: "Messages that came, by quality of service."}, []string{"qos"}),
		refused:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_mqttin_refused_messages_total", Help: "Messages that were not taken, by reason."}, []string{"reason"}),
		closed:         prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_mqttin_closed_connections_total", Help: "Connections that the door closed, by reason."}, []string{"reason"}),
		letters:        prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_mqttin_dead_letters_total", Help: "Messages that became dead letters because their senders can't be told."}),
		unacknowledged: prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_mqttin_unacknowledged_messages_total", Help: "Messages that Kafka didn't take; their clients were disconnected."}),
		held:           prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_mqttin_held_seconds_total", Help: "Time for which sockets were not read because a quota or the room for messages in flight was used up."}),
		ack:            prometheus.NewHistogram(prometheus.HistogramOpts{Name: "foodflow_mqttin_ack_duration_seconds", Help: "Time from the receipt of a group of messages to their PUBACKs.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}),
	}
	for v, values := range map[*prometheus.CounterVec][]string{
		m.logins:   {loginAccepted, loginRefused, loginBusy},
		m.messages: {"0", "1", "2"},
		m.refused:  {refusedPayload, refusedName, refusedRights, refusedPressure},
		m.closed:   {closedRevoked, closedTooLarge, closedFirst, closedMalformed, closedFull, closedRights, closedQoS, closedKafka, closedPanic},
	} {
		for _, value := range values {
			v.WithLabelValues(value)
		}
	}
	for q, label := range qosLabels() {
		m.qos[q] = m.messages.WithLabelValues(label)
	}
	if reg != nil {
		reg.MustRegister(
			m.logins, m.messages, m.refused, m.closed, m.letters, m.unacknowledged, m.held, m.ack,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "foodflow_mqttin_connections", Help: "Open sockets."}, func() float64 { return float64(s.sockets()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "foodflow_mqttin_clients", Help: "Clients that are logged in."}, func() float64 { return float64(s.loggedIn()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "foodflow_mqttin_inflight_messages", Help: "Messages that wait for Kafka."}, func() float64 { n, _ := s.inFlight(); return float64(n) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "foodflow_mqttin_oldest_inflight_age_seconds", Help: "How long the oldest message waits for Kafka."}, func() float64 {
				_, oldest := s.inFlight()
				if oldest.IsZero() {
					return 0
				}
				return time.Since(oldest).Seconds()
			}),
		)
	}
	return m
}
