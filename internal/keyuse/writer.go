package keyuse

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// Group is the consumer group.
const Group = "foodflow-key-uses"

// Topics lists what is read.
func Topics() []string { return []string{broker.TopicKeyUses} }

// Store keeps when keys were last used; masterdata.Store is one. NotFound means
// that the tenant is gone.
type Store interface {
	Used(ctx context.Context, tenant plant.ID, used map[plant.ID]time.Time) (changed int64, err error)
}

// Codec reads reports and writes dead letters; schemas.Codec is one.
type Codec interface {
	DecodeKeyUse(frame []byte, u *schemas.KeyUse) error
	AppendDeadLetter(dst []byte, d *schemas.DeadLetter) ([]byte, error)
}

// Writer keeps what reports say. One goroutine calls it.
type Writer struct {
	store   Store
	codec   Codec
	letters Publisher
	dir     *directory.Store
	log     *slog.Logger
	written prometheus.Counter
	skipped *prometheus.CounterVec // by reason
}

// NewWriter makes a writer; letters takes its dead letters. A nil registry keeps
// its figures to itself.
func NewWriter(store Store, codec Codec, letters Publisher, dir *directory.Store, reg prometheus.Registerer, log *slog.Logger) *Writer {
	w := &Writer{
		store: store, codec: codec, letters: letters, dir: dir, log: log,
		written: prometheus.NewCounter(prometheus.CounterOpts{Name: "foodflow_keyuse_written_total", Help: "Times of last use of API keys that were moved on."}),
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_keyuse_skipped_total", Help: "Reports of used API keys passed over, by reason."}, []string{"reason"}),
	}
	for _, reason := range []string{"dead_letter", "tenant", "refused"} {
		w.skipped.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(w.written, w.skipped)
	}
	return w
}

// Handle keeps the newest use of each key that the records name. An error means
// "not now"; the same records may be handed over again, which changes nothing.
func (w *Writer) Handle(ctx context.Context, records []broker.Record) error {
	used := map[plant.ID]map[plant.ID]time.Time{}
	for i := range records {
		var u schemas.KeyUse
		if err := w.codec.DecodeKeyUse(records[i].Value, &u); err != nil {
			if err := w.bury(ctx, &records[i], err); err != nil {
				return err
			}
			continue
		}
		keys := used[u.Tenant]
		if keys == nil {
			keys = map[plant.ID]time.Time{}
			used[u.Tenant] = keys
		}
		if at := time.UnixMilli(u.TS).UTC(); at.After(keys[u.APIKey]) {
			keys[u.APIKey] = at
		}
	}
	for tenant, keys := range used {
		if err := w.write(ctx, tenant, keys); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) write(ctx context.Context, tenant plant.ID, keys map[plant.ID]time.Time) error {
	n, err := int64(0), error(nil)
	_, known := w.dir.Tenant(tenant)
	if known {
		n, err = w.store.Used(ctx, tenant, keys)
	}
	switch {
	case !known || fault.KindOf(err) == fault.NotFound:
		w.skipped.WithLabelValues("tenant").Add(float64(len(keys)))
	case fault.KindOf(err) == fault.Unavailable || ctx.Err() != nil:
		return fmt.Errorf("writing use of keys: %w", err)
	case err != nil:
		// Trying again would hold up every other tenant's for good.
		w.skipped.WithLabelValues("refused").Add(float64(len(keys)))
		w.log.ErrorContext(ctx, "use of keys refused", "tenant", tenant, "error", err)
	}
	w.written.Add(float64(n))
	return nil
}

// bury makes a dead letter of what is no report.
func (w *Writer) bury(ctx context.Context, r *broker.Record, cause error) error {
	reason := schemas.Reason(cause)
	if reason == "" {
		return cause
	}
	d := schemas.DeadLetter{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, TS: r.TS, Key: schemas.Some(r.Key), Value: schemas.Some(r.Value)}
	d.Refuse(reason, cause)
	value, err := w.codec.AppendDeadLetter(nil, &d)
	if err != nil {
		return fmt.Errorf("encoding dead letter: %w", err)
	}
	if err := w.letters.Publish(ctx, []broker.Message{{Topic: broker.TopicDeadLetters, Key: d.ID[:], Value: value}}); err != nil {
		return fmt.Errorf("burying a report: %w", err)
	}
	w.skipped.WithLabelValues("dead_letter").Inc()
	return nil
}
