package directory

import (
	"context"
	"log/slog"

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

// Applier gives the function that a Tail applies records with. An entry that
// can't be read leaves what was known and is counted.
func Applier(store *Store, dec Decoder, logger *slog.Logger, reg prometheus.Registerer) func(key, value []byte) {
	entries := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_directory_entries_total", Help: "Directory entries read, by what became of them."}, []string{"outcome"})
	applied, refused := entries.WithLabelValues("applied"), entries.WithLabelValues("refused")
	if reg != nil {
		reg.MustRegister(entries)
	}
	return func(key, value []byte) {
		err := applyRecord(store, dec, key, value)
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
