package annunciator

import (
	"context"
	"log/slog"

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

// Store keeps alarms; masterdata.Alarms is one.
type Store interface {
	Signal(ctx context.Context, tenant plant.ID, g masterdata.Signal) (transitions []string, err error)
	Suppress(ctx context.Context, tenant, line plant.ID, on bool, at, received int64) (holds bool, transitions []string, err error)
}

// Decoder reads records; schemas.Codec is one.
type Decoder interface {
	DecodeAnomaly(frame []byte, a *plant.Anomaly) error
	DecodeLineEvent(frame []byte, e *plant.LineEvent) error
}

// Annunciator turns records into what alarms are told. One goroutine calls it.
type Annunciator struct {
	*follow.Follower

	store Store
	dec   Decoder

	// suppressed is what the store said of a line last, which spares asking it at
	// every state.
	suppressed map[plant.ID]bool
}

// New makes an annunciator. A nil registry keeps its figures to itself.
func New(store Store, dec Decoder, dir *directory.Store, reg prometheus.Registerer, log *slog.Logger) *Annunciator {
	a := &Annunciator{store: store, dec: dec, suppressed: map[plant.ID]bool{}}
	a.Follower = follow.New(follow.Figures{
		Done:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_annunciator_transitions_total", Help: "Transitions of alarms that came from the stream."}, []string{"transition"}),
		Skipped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_annunciator_skipped_total", Help: "Records passed over, by reason."}, []string{"reason"}),
	}, []string{"AlarmRaised", "AlarmCleared", "AlarmUnshelved", "AlarmSuppressed", "AlarmUnsuppressed"}, a.read, dir, reg, log)
	return a
}

// Forget lets go of what the store said of lines: another process has told it more
// since, or will. broker.ReadGroup calls it when partitions have moved.
func (a *Annunciator) Forget() { clear(a.suppressed) }

// read gives what to tell the store of a record; nil: nothing.
func (a *Annunciator) read(rec broker.Record) (plant.ID, follow.Deed, error) {
	switch rec.Topic {
	case broker.TopicAnomalies:
		var x plant.Anomaly
		if err := a.dec.DecodeAnomaly(rec.Value, &x); err != nil || !x.Kind.IsLimit() {
			return x.Tenant, nil, err
		}
		return x.Tenant, func(ctx context.Context) ([]string, error) {
			return a.store.Signal(ctx, x.Tenant, masterdata.Signal{
				Sensor: x.Sensor, Line: x.Line, Kind: x.Kind, At: x.TS, Since: x.Since, Value: x.Value, Limit: x.Expected, Ended: x.Ended,
				Place: alarm.Place{TopicID: x.TopicID, Partition: x.Partition, Offset: x.Offset}, Epoch: x.Epoch,
			})
		}, nil
	case broker.TopicLineEvents:
		var e plant.LineEvent
		if err := a.dec.DecodeLineEvent(rec.Value, &e); err != nil || e.Type != plant.EventState {
			return e.Tenant, nil, err
		}
		on := alarm.SuppressedBy(e.State)
		if was, known := a.suppressed[e.Line]; known && was == on {
			return e.Tenant, nil, nil
		}
		return e.Tenant, func(ctx context.Context) ([]string, error) {
			holds, names, err := a.store.Suppress(ctx, e.Tenant, e.Line, on, e.TS, rec.TS)
			if err == nil {
				a.suppressed[e.Line] = holds
			}
			return names, err
		}, nil
	}
	return plant.ID{}, nil, nil
}
