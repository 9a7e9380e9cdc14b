package facts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// Group is the consumer group.
const Group = "foodflow-facts"

// Topics lists what is read.
func Topics() []string {
	return []string{broker.TopicAnomalies, broker.TopicOEE, broker.TopicLineEvents}
}

// Store takes facts; masterdata.Store is one.
type Store interface {
	Raise(ctx context.Context, tenant plant.ID, f masterdata.Fact) (fresh bool, err error)
}

// Decoder reads records; schemas.Codec is one.
type Decoder interface {
	DecodeAnomaly(frame []byte, a *plant.Anomaly) error
	DecodeOEEPart(frame []byte, p *plant.OEEPart) error
	DecodeLineEvent(frame []byte, e *plant.LineEvent) error
}

// Raiser turns records into facts. One goroutine calls it.
type Raiser struct {
	store Store
	dec   Decoder
	dir   *directory.Store
	log   *slog.Logger
	raise *prometheus.CounterVec // by type
	skip  *prometheus.CounterVec // by reason

	down map[plant.ID]bool     // lines that stand
	seen map[plant.ID]struct{} // facts raised lately, which spares asking Postgres
}

// New makes a raiser. A nil registry keeps its figures to itself.
func New(store Store, dec Decoder, dir *directory.Store, reg prometheus.Registerer, log *slog.Logger) *Raiser {
	r := &Raiser{
		store: store, dec: dec, dir: dir, log: log, down: map[plant.ID]bool{}, seen: map[plant.ID]struct{}{},
		raise: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_facts_raised_total", Help: "Domain events raised from the stream."}, []string{"type"}),
		skip:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_facts_skipped_total", Help: "Records passed over, by reason."}, []string{"reason"}),
	}
	for _, t := range []string{"AnomalyDetected", "ScrapDetected", "LineDowntime"} {
		r.raise.WithLabelValues(t)
	}
	for _, s := range []string{"unreadable", "tenant", "refused"} {
		r.skip.WithLabelValues(s)
	}
	if reg != nil {
		reg.MustRegister(r.raise, r.skip)
	}
	return r
}

// Forget lets go of what was seen of lines: another process has had them since, or
// will. broker.ReadGroup calls it when partitions have moved.
func (r *Raiser) Forget() { clear(r.down) }

// Handle raises what records say. An error means that Postgres can't take anything
// now, or the registry not be reached; the same records may be handed over again.
func (r *Raiser) Handle(ctx context.Context, records []broker.Record) error {
	for _, rec := range records {
		tenant, f, done, err := r.read(rec)
		if errors.Is(err, schemas.ErrRegistry) {
			return fmt.Errorf("reading a record: %w", err)
		}
		if err != nil {
			r.skip.WithLabelValues("unreadable").Inc()
			continue
		}
		if f != nil {
			if err := r.put(ctx, tenant, f); err != nil {
				return err
			}
		}
		if done != nil {
			done()
		}
	}
	return nil
}

// maxSeen bounds the memory of facts raised lately.
const maxSeen = 100_000

func (r *Raiser) put(ctx context.Context, tenant plant.ID, f *masterdata.Fact) error {
	if _, done := r.seen[f.ID]; done {
		return nil
	}
	if _, ok := r.dir.Tenant(tenant); !ok {
		r.skip.WithLabelValues("tenant").Inc()
		return nil
	}
	fresh, err := r.store.Raise(ctx, tenant, *f)
	if err != nil && (ctx.Err() != nil || !masterdata.Refused(err)) {
		return fmt.Errorf("raising %s: %w", f.Type, err)
	}
	if err != nil {
		// Trying again would hold up every other fact for good.
		r.skip.WithLabelValues("refused").Inc()
		r.log.ErrorContext(ctx, "fact refused", "type", f.Type, "fact", f.ID, "error", err)
		return nil
	}
	if fresh {
		r.raise.WithLabelValues(f.Type).Inc()
	}
	if len(r.seen) >= maxSeen {
		clear(r.seen)
	}
	r.seen[f.ID] = struct{}{}
	return nil
}

// read gives what a record says, if anything, and what to remember once that is
// raised: a line's state must not move on before its fact is stored.
func (r *Raiser) read(rec broker.Record) (tenant plant.ID, f *masterdata.Fact, done func(), err error) {
	switch rec.Topic {
	case broker.TopicAnomalies:
		var a plant.Anomaly
		if err := r.dec.DecodeAnomaly(rec.Value, &a); err != nil {
			return plant.ID{}, nil, nil, err
		}
		if a.Ended {
			return a.Tenant, nil, nil, nil
		}
		return a.Tenant, anomaly(&a), nil, nil
	case broker.TopicOEE:
		var p plant.OEEPart
		if err := r.dec.DecodeOEEPart(rec.Value, &p); err != nil {
			return plant.ID{}, nil, nil, err
		}
		return p.Tenant, scrap(&p), nil, nil
	case broker.TopicLineEvents:
		var e plant.LineEvent
		if err := r.dec.DecodeLineEvent(rec.Value, &e); err != nil || e.Type != plant.EventState {
			return plant.ID{}, nil, nil, err
		}
		return e.Tenant, r.downtime(&e), func() { r.down[e.Line] = stands(e.State) }, nil
	}
	return plant.ID{}, nil, nil, nil
}

// anomaly is one fact for an excursion, named by its beginning.
func anomaly(a *plant.Anomaly) *masterdata.Fact {
	return &masterdata.Fact{
		ID:   plant.NameID(a.Tenant, "AnomalyDetected", a.Sensor.String(), a.Kind.String(), fmt.Sprint(a.Since)),
		Type: "AnomalyDetected", AggregateType: directory.KindSensor, Aggregate: a.Sensor, TS: at(a.TS),
		Data: map[string]any{
			"sensor_id": a.Sensor, "line_id": a.Line, "anomaly_id": a.ID, "kind": a.Kind.String(), "since": at(a.Since),
			"value": a.Value, "expected": a.Expected, "score": a.Score,
		},
	}
}

// scrap is one fact for a line's minute and product; a late correction with
// more scrap is another, under its revision, which each late count has its own of.
func scrap(p *plant.OEEPart) *masterdata.Fact {
	if p.Scrap <= 0 {
		return nil
	}
	return &masterdata.Fact{
		ID:   plant.NameID(p.Tenant, "ScrapDetected", p.Line.String(), fmt.Sprint(p.Minute), p.Product, fmt.Sprint(p.Revision)),
		Type: "ScrapDetected", AggregateType: directory.KindLine, Aggregate: p.Line, TS: at(p.Minute),
		Data: map[string]any{
			"line_id": p.Line, "minute": at(p.Minute), "product": p.Product, "unit": p.Unit, "scrap": p.Scrap, "good": p.Good, "revision": p.Revision,
		},
	}
}

// downtime is one fact for each time a line comes to stand by its own fault.
func (r *Raiser) downtime(e *plant.LineEvent) *masterdata.Fact {
	if r.down[e.Line] || !stands(e.State) {
		return nil
	}
	return &masterdata.Fact{
		ID:   plant.NameID(e.Tenant, "LineDowntime", e.ID.String()),
		Type: "LineDowntime", AggregateType: directory.KindLine, Aggregate: e.Line, TS: at(e.TS),
		Data: map[string]any{"line_id": e.Line, "state": e.State.String(), "reason": e.Reason, "since": at(e.TS), "event_id": e.ID},
	}
}

// stands names PackML's states of a stop with an internal cause.
func stands(s plant.State) bool {
	return s == plant.StateHolding || s == plant.StateHeld || s == plant.StateAborting || s == plant.StateAborted
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
