package job

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	began    *prometheus.CounterVec   // by kind
	ended    *prometheus.CounterVec   // by kind and outcome
	duration *prometheus.HistogramVec // by kind
	resumed  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, kinds []Kind) *metrics {
	m := &metrics{
		began: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_job_attempts_total", Help: "Attempts at jobs begun, by kind."}, []string{"kind"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_job_outcomes_total", Help: "Attempts at jobs ended, by kind and outcome."}, []string{"kind", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "foodflow_job_duration_seconds", Help: "From request to end of jobs that were done, by kind.", Buckets: prometheus.ExponentialBuckets(0.1, 4, 10),
		}, []string{"kind"}),
		resumed: prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_job_resumed_total", Help: "Jobs delivered again because their process died or stopped."}),
	}
	for _, k := range kinds {
		m.began.WithLabelValues(k.Name)
		m.duration.WithLabelValues(k.Name)
		for _, o := range []string{"done", "failed", "retried", "stopped", "lost"} {
			m.ended.WithLabelValues(k.Name, o)
		}
	}
	if reg != nil {
		reg.MustRegister(m.began, m.ended, m.duration, m.resumed)
	}
	return m
}

// quiet passes on what River warns of: it says much of every job at info, which
// our own log says once.
type quiet struct{ slog.Handler }

// Enabled lets warnings and errors through.
func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

// WithAttrs keeps the bound.
func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }

// WithGroup keeps the bound.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
