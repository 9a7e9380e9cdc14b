package facts

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/follow"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
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
	*follow.Follower

	store Store
	dec   Decoder

	down map[plant.ID]bool     // lines that stand
	seen map[plant.ID]struct{} // facts raised lately, which spares asking Postgres
}

// New makes a raiser. A nil registry keeps its figures to itself.
func New(store Store, dec Decoder, dir *directory.Store, reg prometheus.Registerer, log *slog.Logger) *Raiser {
	r := &Raiser{store: store, dec: dec, down: map[plant.ID]bool{}, seen: map[plant.ID]struct{}{}}
	r.Follower = follow.New(follow.Figures{
		Done:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_facts_raised_total", Help: "Domain events raised from the stream."}, []string{"type"}),
		Skipped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_facts_skipped_total", Help: "Records passed over, by reason."}, []string{"reason"}),
	}, []string{"AnomalyDetected", "ScrapDetected", "LineDowntime"}, r.read, dir, reg, log)
	return r
}

// Forget lets go of what was seen of lines: another process has had them since, or
// will. broker.ReadGroup calls it when partitions have moved.
func (r *Raiser) Forget() { clear(r.down) }

// read gives the fact that a record calls for, if any.
func (r *Raiser) read(rec broker.Record) (plant.ID, follow.Deed, error) {
	switch rec.Topic {
	case broker.TopicAnomalies:
		var a plant.Anomaly
		if err := r.dec.DecodeAnomaly(rec.Value, &a); err != nil || a.Ended {
			return a.Tenant, nil, err
		}
		return a.Tenant, r.raise(a.Tenant, anomaly(&a)), nil
	case broker.TopicOEE:
		var p plant.OEEPart
		if err := r.dec.DecodeOEEPart(rec.Value, &p); err != nil || p.Scrap <= 0 {
			return p.Tenant, nil, err
		}
		return p.Tenant, r.raise(p.Tenant, scrap(&p)), nil
	case broker.TopicLineEvents:
		var e plant.LineEvent
		if err := r.dec.DecodeLineEvent(rec.Value, &e); err != nil || e.Type != plant.EventState {
			return e.Tenant, nil, err
		}
		return e.Tenant, r.enter(&e), nil
	}
	return plant.ID{}, nil, nil
}

// maxSeen bounds the memory of facts raised lately.
const maxSeen = 100_000

// raise stores a fact, unless that was done lately.
func (r *Raiser) raise(tenant plant.ID, f masterdata.Fact) follow.Deed {
	return func(ctx context.Context) (names []string, err error) {
		if _, done := r.seen[f.ID]; done {
			return nil, nil
		}
		fresh, err := r.store.Raise(ctx, tenant, f)
		if err != nil {
			return nil, fmt.Errorf("raising %s %s: %w", f.Type, f.ID, err)
		}
		if fresh {
			names = []string{f.Type}
		}
		if len(r.seen) >= maxSeen {
			clear(r.seen)
		}
		r.seen[f.ID] = struct{}{}
		return names, nil
	}
}

// enter raises that a line has come to stand by its own fault. What is remembered
// of the line moves on only when that is stored.
func (r *Raiser) enter(e *plant.LineEvent) follow.Deed {
	return func(ctx context.Context) (names []string, err error) {
		if stands(e.State) && !r.down[e.Line] {
			names, err = r.raise(e.Tenant, downtime(e))(ctx)
		}
		if err == nil {
			r.down[e.Line] = stands(e.State)
		}
		return names, err
	}
}

// anomaly is one fact for an excursion, named by its beginning.
func anomaly(a *plant.Anomaly) masterdata.Fact {
	return masterdata.Fact{
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
func scrap(p *plant.OEEPart) masterdata.Fact {
	return masterdata.Fact{
		ID:   plant.NameID(p.Tenant, "ScrapDetected", p.Line.String(), fmt.Sprint(p.Minute), p.Product, fmt.Sprint(p.Revision)),
		Type: "ScrapDetected", AggregateType: directory.KindLine, Aggregate: p.Line, TS: at(p.Minute),
		Data: map[string]any{
			"line_id": p.Line, "minute": at(p.Minute), "product": p.Product, "unit": p.Unit, "scrap": p.Scrap, "good": p.Good, "revision": p.Revision,
		},
	}
}

// downtime is one fact for each time a line comes to stand by its own fault.
func downtime(e *plant.LineEvent) masterdata.Fact {
	return masterdata.Fact{
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
