package stream

import "github.com/prometheus/client_golang/prometheus"

// metrics are the figures of a job's stream.
type metrics struct {
	records       *prometheus.CounterVec // by input
	refolded      prometheus.Counter
	skipped       prometheus.Counter
	poison        prometheus.Counter
	batches       *prometheus.CounterVec // by reason
	retries       prometheus.Counter
	flush         prometheus.Histogram
	commit        prometheus.Histogram
	restore       prometheus.Histogram
	snapshots     prometheus.Counter
	snapBytes     prometheus.Gauge
	lostSnapshots prometheus.Counter
	slots         prometheus.Gauge
	pauses        prometheus.Counter
	fenced        prometheus.Counter
	queueBytes    prometheus.Gauge
	oldest        prometheus.Gauge
	lag           *prometheus.GaugeVec // by input
	lagSeconds    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, inputs []string) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_stream_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "foodflow_stream_" + name, Help: help})
	}
	seconds := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "foodflow_stream_" + name, Help: help,
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		})
	}
	m := &metrics{
		records:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_stream_records_total", Help: "Records folded with output."}, []string{"input"}),
		refolded:      counter("refolded_records_total", "Records folded in silence to rebuild state."),
		skipped:       counter("skipped_records_total", "Offsets that retention removed before they were read."),
		poison:        counter("poison_records_total", "Records set aside as dead letters."),
		batches:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_stream_batches_total", Help: "Batches made durable, by what closed them."}, []string{"reason"}),
		retries:       counter("flush_retries_total", "Flushes tried again after a transient error."),
		flush:         seconds("flush_duration_seconds", "Time to make a batch durable, retries included."),
		commit:        seconds("commit_duration_seconds", "Time to commit a batch's offsets."),
		restore:       seconds("restore_duration_seconds", "Time from the assignment of a slot until it is caught up with its commit."),
		snapshots:     counter("snapshots_total", "Snapshots stored."),
		snapBytes:     gauge("snapshot_bytes", "Size of the latest snapshot of a slot."),
		lostSnapshots: counter("lost_snapshots_total", "Slots whose snapshot was gone, so that their state was warmed up anew."),
		slots:         gauge("slots", "Slots held by this member."),
		pauses:        counter("pauses_total", "Times a slot was paused because its queue was full."),
		fenced:        counter("fenced_total", "Commits refused because the slot had another owner."),
		queueBytes:    gauge("queue_bytes", "Bytes waiting in the queues of all slots."),
		oldest:        gauge("oldest_unflushed_seconds", "Age of the oldest record that waits."),
		lag:           prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "foodflow_stream_lag_records", Help: "Records on the broker behind the last one taken, over the held slots."}, []string{"input"}),
		lagSeconds:    gauge("lag_seconds", "Broker time between the last record flushed and now, the worst slot with a lag."),
	}
	for _, in := range inputs {
		m.records.WithLabelValues(in)
		m.lag.WithLabelValues(in)
	}
	for r := range numReasons {
		m.batches.WithLabelValues(r.String())
	}
	if reg != nil {
		reg.MustRegister(m.records, m.refolded, m.skipped, m.poison, m.batches, m.retries, m.flush, m.commit, m.restore,
			m.snapshots, m.snapBytes, m.lostSnapshots, m.slots, m.pauses, m.fenced, m.queueBytes, m.oldest, m.lag, m.lagSeconds)
	}
	return m
}
