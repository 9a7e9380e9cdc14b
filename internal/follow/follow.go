package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// Deed is what a record calls for; nil: nothing. It gives the names of what has
// come about by it.
type Deed func(ctx context.Context) (names []string, err error)

// Read gives whom a record concerns and what it calls for. An error that is no
// schemas.ErrRegistry means that the record can't be read.
type Read func(rec broker.Record) (tenant plant.ID, deed Deed, err error)

// Figures are the metrics of a follower.
type Figures struct {
	Done    *prometheus.CounterVec // by name, of what has come about
	Skipped *prometheus.CounterVec // by reason, records passed over
}

// Follower does what records call for. One goroutine calls it.
type Follower struct {
	Figures

	read Read
	dir  *directory.Store
	log  *slog.Logger
}

// New makes a follower; names are what can come about, so that each of them has a
// figure from the beginning. A nil registry keeps its figures to itself.
func New(f Figures, names []string, read Read, dir *directory.Store, reg prometheus.Registerer, log *slog.Logger) *Follower {
	for _, name := range names {
		f.Done.WithLabelValues(name)
	}
	for _, reason := range []string{"unreadable", "tenant", "refused"} {
		f.Skipped.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(f.Done, f.Skipped)
	}
	return &Follower{Figures: f, read: read, dir: dir, log: log}
}

// Handle does what records call for. An error means "not now"; the same records
// may be handed over again.
func (f *Follower) Handle(ctx context.Context, records []broker.Record) error {
	for _, rec := range records {
		tenant, deed, err := f.read(rec)
		if errors.Is(err, schemas.ErrRegistry) {
			return fmt.Errorf("reading a record: %w", err)
		}
		if err != nil {
			f.Skipped.WithLabelValues("unreadable").Inc()
			continue
		}
		if deed == nil {
			continue
		}
		if _, ok := f.dir.Tenant(tenant); !ok {
			f.Skipped.WithLabelValues("tenant").Inc()
			continue
		}
		names, err := deed(ctx)
		if err != nil && (ctx.Err() != nil || !masterdata.Refused(err)) {
			return fmt.Errorf("doing what a record of %s calls for: %w", rec.Topic, err)
		}
		if err != nil {
			f.Skipped.WithLabelValues("refused").Inc()
			f.log.ErrorContext(ctx, "refused what a record calls for", "topic", rec.Topic, "partition", rec.Partition, "offset", rec.Offset, "error", err)
			continue
		}
		for _, n := range names {
			f.Done.WithLabelValues(n).Inc()
		}
	}
	return nil
}
