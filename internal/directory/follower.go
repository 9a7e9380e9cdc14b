package directory

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/schemas"
)

// Tail is a reader of foodflow.directory.v1 from its start.
type Tail interface {
	Start(ctx context.Context, failed func(error)) error
	Ready() <-chan struct{}
	Stop(ctx context.Context) error
}

// Decoder reads entries.
type Decoder interface {
	DecodeDirectoryEntry(frame []byte, e *schemas.DirectoryEntry) error
}

// registryPause is how long the Applier waits before it asks the registry
// again.
const registryPause = 500 * time.Millisecond

// Applier gives the function that a Tail applies records with. An entry that
// can't be read leaves what was known and is counted. While the registry can't
// say what an entry is, it waits: to pass over it could be to pass over the
// revocation of a key.
func Applier(store *Store, dec Decoder, logger *slog.Logger, reg prometheus.Registerer) func(ctx context.Context, key, value []byte) {
	entries := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_directory_entries_total", Help: "Directory entries read, by what became of them."}, []string{"outcome"})
	applied, refused, waited := entries.WithLabelValues("applied"), entries.WithLabelValues("refused"), entries.WithLabelValues("waited")
	if reg != nil {
		reg.MustRegister(entries)
	}
	return func(ctx context.Context, key, value []byte) {
		err := applyRecord(store, dec, key, value)
		for errors.Is(err, schemas.ErrRegistry) {
			waited.Inc()
			logger.Warn("directory entry waits for the schema registry", "key", string(key), "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(registryPause):
			}
			err = applyRecord(store, dec, key, value)
		}
		if err != nil {
			refused.Inc()
			logger.Error("directory entry refused", "key", string(key), "error", err)
			return
		}
		applied.Inc()
	}
}

func applyRecord(store *Store, dec Decoder, key, value []byte) error {
	if len(value) == 0 {
		return store.Remove(string(key))
	}
	var e schemas.DirectoryEntry
	if err := dec.DecodeDirectoryEntry(value, &e); err != nil {
		return err
	}
	return store.Apply(&e)
}
