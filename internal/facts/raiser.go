package facts

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
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

// Store takes facts; masterdata.Store is one. It is given those of several tenants at
// the same time.
type Store interface {
	RaiseAll(ctx context.Context, tenant plant.ID, facts []masterdata.Fact) (names []string, refused []error, err error)
}

// Decoder reads records; schemas.Codec is one.
type Decoder interface {
	DecodeAnomaly(frame []byte, a *plant.Anomaly) error
	DecodeOEEPart(frame []byte, p *plant.OEEPart) error
	DecodeLineEvent(frame []byte, e *plant.LineEvent) error
}

// Raiser turns records into facts. One goroutine calls it.
type Raiser struct {
	*follow.Follower[deed]

	store Store
	dec   Decoder

	mu   sync.Mutex            // guards what follows, since tenants are seen to side by side
	down map[plant.ID]bool     // lines that stand
	seen map[plant.ID]struct{} // facts raised lately, which spares asking Postgres
}

// deed is what a record calls for.
type deed struct {
	fact masterdata.Fact
	// entered is the line that came into a state; zero: none did. Then the fact
	// counts only where it stands now and did not before.
	entered plant.ID
	stands  bool
}

// New makes a raiser. A nil registry keeps its figures to itself.
func New(store Store, dec Decoder, dir *directory.Store, reg prometheus.Registerer, log *slog.Logger) *Raiser {
	r := &Raiser{store: store, dec: dec, down: map[plant.ID]bool{}, seen: map[plant.ID]struct{}{}}
	r.Follower = follow.New(follow.Figures{
		Done:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_facts_raised_total", Help: "Domain events raised from the stream."}, []string{"type"}),
		Skipped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_facts_skipped_total", Help: "Records passed over, by reason."}, []string{"reason"}),
	}, []string{"AnomalyDetected", "ScrapDetected", "LineDowntime"}, r.read, r.raise, dir, reg, log)
	return r
}

// Forget lets go of what was seen of lines: another process has had them since, or
// will. broker.ReadGroup calls it when partitions have moved.
func (r *Raiser) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.down)
}

// read gives what a record calls for, if anything.
func (r *Raiser) read(rec broker.Record) (tenant plant.ID, d deed, ok bool, err error) {
	switch rec.Topic {
	case broker.TopicAnomalies:
		var a plant.Anomaly
		if err := r.dec.DecodeAnomaly(rec.Value, &a); err != nil || a.Ended {
			return a.Tenant, d, false, err
		}
		return a.Tenant, deed{fact: anomaly(&a)}, true, nil
	case broker.TopicOEE:
		var p plant.OEEPart
		if err := r.dec.DecodeOEEPart(rec.Value, &p); err != nil || p.Scrap <= 0 {
			return p.Tenant, d, false, err
		}
		return p.Tenant, deed{fact: scrap(&p)}, true, nil
	case broker.TopicLineEvents:
		var e plant.LineEvent
		if err := r.dec.DecodeLineEvent(rec.Value, &e); err != nil || e.Type != plant.EventState {
			return e.Tenant, d, false, err
		}
		return e.Tenant, deed{fact: downtime(&e), entered: e.Line, stands: stands(e.State)}, true, nil
	}
	return tenant, d, false, nil
}

// maxSeen bounds the memory of facts raised lately.
const maxSeen = 100_000

// raise stores the facts of a tenant, but those that were lately. What is remembered
// moves on only when they are stored.
func (r *Raiser) raise(ctx context.Context, tenant plant.ID, deeds []deed) (names []string, refused []error, err error) {
	list, entered := r.news(deeds)
	if len(list) > 0 {
		if names, refused, err = r.store.RaiseAll(ctx, tenant, list); err != nil {
			return nil, nil, fmt.Errorf("raising %s %s and %d behind it: %w", list[0].Type, list[0].ID, len(list)-1, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.down, entered)
	if len(r.seen) >= maxSeen {
		clear(r.seen)
	}
	for _, f := range list {
		r.seen[f.ID] = struct{}{}
	}
	return names, refused, nil
}

// news gives the facts that deeds come to, and of the lines whether they stand then.
func (r *Raiser) news(deeds []deed) (list []masterdata.Fact, entered map[plant.ID]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	entered = map[plant.ID]bool{}
	here := map[plant.ID]bool{}
	for i := range deeds {
		d := &deeds[i]
		if !d.entered.IsZero() {
			stood, known := entered[d.entered]
			if !known {
				stood = r.down[d.entered]
			}
			entered[d.entered] = d.stands
			if stood || !d.stands {
				continue
			}
		}
		if _, done := r.seen[d.fact.ID]; !done && !here[d.fact.ID] {
			here[d.fact.ID] = true
			list = append(list, d.fact)
		}
	}
	return list, entered
}

// together is the stretch of a sensor's time of which the excursions of one kind are
// one fact: a sensor that flaps around its limit passes it several times a second.
const together = int64(60_000)

// anomaly is one fact for the excursions that begin in one minute, named by it, and
// of the first of them that is read.
func anomaly(a *plant.Anomaly) masterdata.Fact {
	return masterdata.Fact{
		ID:   plant.NameID(a.Tenant, "AnomalyDetected", a.Sensor.String(), a.Kind.String(), fmt.Sprint(a.Since-a.Since%together)),
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
