package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// Read gives whom a record concerns and what it calls for; ok: anything. An error
// that is no schemas.ErrRegistry means that the record can't be read.
type Read[D any] func(rec broker.Record) (tenant plant.ID, deed D, ok bool, err error)

// Do does deeds of one tenant in their order, all in one or, with an error, none. It
// gives the names of what has come about by them, and of those that were refused for
// what they say, why; they keep none of the others back. It is called for several
// tenants at the same time.
type Do[D any] func(ctx context.Context, tenant plant.ID, deeds []D) (names []string, refused []error, err error)

// tenantsAtOnce is for how many tenants deeds are done at the same time: one whose
// transactions are slow leaves the others room, and the pool of connections (16)
// has room for the API beside two followers.
const tenantsAtOnce = 4

// Figures are the metrics of a follower.
type Figures struct {
	Done    *prometheus.CounterVec // by name, of what has come about
	Skipped *prometheus.CounterVec // by reason, records passed over
}

// Follower does what records call for. One goroutine calls it.
type Follower[D any] struct {
	Figures

	read Read[D]
	do   Do[D]
	dir  *directory.Store
	log  *slog.Logger
}

// New makes a follower; names are what can come about, so that each of them has a
// figure from the beginning. A nil registry keeps its figures to itself.
func New[D any](f Figures, names []string, read Read[D], do Do[D], dir *directory.Store, reg prometheus.Registerer, log *slog.Logger) *Follower[D] {
	for _, name := range names {
		f.Done.WithLabelValues(name)
	}
	for _, reason := range []string{"unreadable", "tenant", "refused"} {
		f.Skipped.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(f.Done, f.Skipped)
	}
	return &Follower[D]{Figures: f, read: read, do: do, dir: dir, log: log}
}

// queue is what records call for of one tenant, in their order.
type queue[D any] struct {
	tenant plant.ID
	deeds  []D
	places []place // of the deeds
}

// place is where a record lies.
type place struct {
	topic     string
	partition int32
	offset    int64
}

// Handle does what records call for. An error means "not now"; the same records
// may be handed over again.
func (f *Follower[D]) Handle(ctx context.Context, records []broker.Record) error {
	queues, unread := f.sort(records)
	errs := make([]error, len(queues))
	room := make(chan struct{}, tenantsAtOnce) // who works puts one in and takes it out
	var workers sync.WaitGroup
	for i, q := range queues {
		room <- struct{}{}
		workers.Go(func() {
			defer func() { <-room }()
			errs[i] = f.work(ctx, q)
		})
	}
	workers.Wait()
	return errors.Join(append(errs, unread)...)
}

// sort reads records, up to the first that can't be read now, and gives what they
// call for by tenant.
func (f *Follower[D]) sort(records []broker.Record) (queues []*queue[D], err error) {
	of := map[plant.ID]*queue[D]{}
	for _, rec := range records {
		tenant, deed, ok, err := f.read(rec)
		if errors.Is(err, schemas.ErrRegistry) {
			return queues, fmt.Errorf("reading a record: %w", err)
		}
		if err != nil {
			f.Skipped.WithLabelValues("unreadable").Inc()
			continue
		}
		if !ok {
			continue
		}
		if _, ok := f.dir.Tenant(tenant); !ok {
			f.Skipped.WithLabelValues("tenant").Inc()
			continue
		}
		q := of[tenant]
		if q == nil {
			q = &queue[D]{tenant: tenant}
			of[tenant], queues = q, append(queues, q)
		}
		q.deeds, q.places = append(q.deeds, deed), append(q.places, place{rec.Topic, rec.Partition, rec.Offset})
	}
	return queues, nil
}

// work does the deeds of one tenant. Where one of them makes the store refuse them
// all, each half is done alone, until that one is.
func (f *Follower[D]) work(ctx context.Context, q *queue[D]) error {
	names, refused, err := f.do(ctx, q.tenant, q.deeds)
	switch n := len(q.deeds) / 2; {
	case err != nil && (ctx.Err() != nil || !masterdata.Refused(err)):
		return fmt.Errorf("doing what records of %s call for: %w", q.places[0].topic, err)
	case err != nil && n > 0:
		if err := f.work(ctx, &queue[D]{q.tenant, q.deeds[:n], q.places[:n]}); err != nil {
			return err
		}
		return f.work(ctx, &queue[D]{q.tenant, q.deeds[n:], q.places[n:]})
	case err != nil:
		refused = []error{err}
	}
	for _, name := range names {
		f.Done.WithLabelValues(name).Inc()
	}
	if len(refused) > 0 {
		f.Skipped.WithLabelValues("refused").Add(float64(len(refused)))
		first := q.places[0]
		f.log.ErrorContext(ctx, "refused what records call for", "topic", first.topic, "partition", first.partition, "offset_from", first.offset,
			"records", len(q.deeds), "refused", len(refused), "error", refused[0])
	}
	return nil
}
