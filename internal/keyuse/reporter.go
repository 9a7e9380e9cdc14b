package keyuse

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

const (
	// reportEvery is how long a use that was noted waits for company.
	reportEvery = 2 * time.Second
	// publishLimit bounds the wait for Kafka, goodbye that at the end.
	publishLimit, goodbye = 10 * time.Second, time.Second
)

// Encoder writes reports; schemas.Codec is one.
type Encoder interface {
	AppendKeyUse(dst []byte, u *schemas.KeyUse) ([]byte, error)
}

// Publisher sends to Kafka and waits for its acks; broker.Producer is one.
type Publisher interface {
	Publish(ctx context.Context, msgs []broker.Message) error
}

// Reporter publishes the uses that a directory notes.
type Reporter struct {
	dir  *directory.Store
	enc  Encoder
	out  Publisher
	log  *slog.Logger
	told *prometheus.CounterVec // by outcome

	// kept are the uses that Kafka has not taken, the newest of each key; Run's
	// goroutine owns them.
	kept map[plant.ID]directory.Use
	away bool // the last try failed
}

// NewReporter makes a reporter; it starts nothing. A nil registry keeps its
// figures to itself.
func NewReporter(dir *directory.Store, enc Encoder, out Publisher, reg prometheus.Registerer, log *slog.Logger) *Reporter {
	r := &Reporter{
		dir: dir, enc: enc, out: out, log: log, kept: map[plant.ID]directory.Use{},
		told: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_keyuse_reports_total", Help: "Uses of API keys handed to Kafka, by whether it took them; those that it didn't are tried again."}, []string{"outcome"}),
	}
	for _, o := range []string{"published", "failed"} {
		r.told.WithLabelValues(o)
	}
	if reg != nil {
		reg.MustRegister(r.told)
	}
	return r
}

// Run reports until the context ends; it returns nil then.
func (r *Reporter) Run(ctx context.Context) error {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			r.report(context.WithoutCancel(ctx), goodbye)
			return nil
		case <-tick.C:
			r.report(ctx, publishLimit)
		}
	}
}

// report publishes what was noted and what is kept.
func (r *Reporter) report(ctx context.Context, limit time.Duration) {
	for id, u := range r.dir.TakeUses() {
		r.kept[id] = u
	}
	if len(r.kept) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := r.publish(ctx)
	if err == nil {
		r.told.WithLabelValues("published").Add(float64(len(r.kept)))
		clear(r.kept)
	} else {
		r.told.WithLabelValues("failed").Add(float64(len(r.kept)))
		if !r.away { // not again with every try
			r.log.WarnContext(ctx, "uses of keys not reported, trying on", "keys", len(r.kept), "error", err)
		}
	}
	r.away = err != nil
}

func (r *Reporter) publish(ctx context.Context) error {
	msgs := make([]broker.Message, 0, len(r.kept))
	for _, u := range r.kept {
		value, err := r.enc.AppendKeyUse(nil, &schemas.KeyUse{Tenant: u.Tenant, APIKey: u.Key, TS: u.At})
		if err != nil {
			return fmt.Errorf("encoding use of key %s: %w", u.Key, err)
		}
		msgs = append(msgs, broker.Message{Topic: broker.TopicKeyUses, Key: u.Key[:], Value: value})
	}
	return r.out.Publish(ctx, msgs)
}
