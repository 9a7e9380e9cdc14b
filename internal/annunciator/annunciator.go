package annunciator

import (
	"context"
	"log/slog"
	"maps"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/internal/alarm"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/follow"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

// Group is the consumer group.
const Group = "foodflow-annunciator"

// Topics lists what is read.
func Topics() []string { return []string{broker.TopicAnomalies, broker.TopicLineEvents} }

// Store keeps alarms; masterdata.Alarms is one. Of several tenants it is told at the
// same time.
type Store interface {
	Hear(ctx context.Context, tenant plant.ID, words []masterdata.Word) (masterdata.Heard, error)
}

// Decoder reads records; schemas.Codec is one.
type Decoder interface {
	DecodeAnomaly(frame []byte, a *plant.Anomaly) error
	DecodeLineEvent(frame []byte, e *plant.LineEvent) error
}

// Annunciator turns records into what alarms are told. One goroutine calls it.
type Annunciator struct {
	*follow.Follower[masterdata.Word]

	store Store
	dec   Decoder

	// suppressed is what the store said of a line last, which spares asking it at
	// every state; mu guards it, since tenants are seen to side by side.
	mu         sync.Mutex
	suppressed map[plant.ID]bool
}

// New makes an annunciator. A nil registry keeps its figures to itself.
func New(store Store, dec Decoder, dir *directory.Store, reg prometheus.Registerer, log *slog.Logger) *Annunciator {
	a := &Annunciator{store: store, dec: dec, suppressed: map[plant.ID]bool{}}
	a.Follower = follow.New(follow.Figures{
		Done:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_annunciator_transitions_total", Help: "Transitions of alarms that came from the stream."}, []string{"transition"}),
		Skipped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_annunciator_skipped_total", Help: "Records passed over, by reason."}, []string{"reason"}),
	}, []string{"AlarmRaised", "AlarmCleared", "AlarmUnshelved", "AlarmSuppressed", "AlarmUnsuppressed"}, a.read, a.tell, dir, reg, log)
	return a
}

// Forget lets go of what the store said of lines: another process has told it more
// since, or will. broker.ReadGroup calls it when partitions have moved.
func (a *Annunciator) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.suppressed)
}

// read gives what to tell the store of a record, if anything.
func (a *Annunciator) read(rec broker.Record) (tenant plant.ID, w masterdata.Word, ok bool, err error) {
	switch rec.Topic {
	case broker.TopicAnomalies:
		var x plant.Anomaly
		if err := a.dec.DecodeAnomaly(rec.Value, &x); err != nil || !x.Kind.IsLimit() {
			return x.Tenant, w, false, err
		}
		w.Signal = &masterdata.Signal{
			Sensor: x.Sensor, Line: x.Line, Kind: x.Kind, At: x.TS, Since: x.Since, Value: x.Value, Limit: x.Expected, Ended: x.Ended,
			Place: alarm.Place{TopicID: x.TopicID, Partition: x.Partition, Offset: x.Offset}, Epoch: x.Epoch,
		}
		return x.Tenant, w, true, nil
	case broker.TopicLineEvents:
		var e plant.LineEvent
		if err := a.dec.DecodeLineEvent(rec.Value, &e); err != nil || e.Type != plant.EventState {
			return e.Tenant, w, false, err
		}
		w.State = &masterdata.LineState{Line: e.Line, On: alarm.SuppressedBy(e.State), At: e.TS, Received: rec.TS}
		return e.Tenant, w, true, nil
	}
	return tenant, w, false, nil
}

// tell tells the store of a tenant's words those that may be news to it.
func (a *Annunciator) tell(ctx context.Context, tenant plant.ID, words []masterdata.Word) (names []string, refused []error, err error) {
	words = a.news(words)
	if len(words) == 0 {
		return nil, nil, nil
	}
	h, err := a.store.Hear(ctx, tenant, words)
	if err != nil {
		return nil, nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.Copy(a.suppressed, h.Suppressed)
	return h.Names, h.Refused, nil
}

// news leaves out what lines say that the store said last; what comes behind a word
// of the same line may be news again.
func (a *Annunciator) news(words []masterdata.Word) (out []masterdata.Word) {
	a.mu.Lock()
	defer a.mu.Unlock()
	spoke := map[plant.ID]bool{}
	for _, w := range words {
		if l := w.State; l != nil {
			if was, known := a.suppressed[l.Line]; known && was == l.On && !spoke[l.Line] {
				continue
			}
			spoke[l.Line] = true
		}
		out = append(out, w)
	}
	return out
}
