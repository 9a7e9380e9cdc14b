package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
)

// Service asks for jobs and, with workers, does them.
type Service struct {
	cfg   Config
	db    *postgres.DB
	kinds map[string]*Kind
	log   *slog.Logger
	m     *metrics
	river *river.Client[pgx.Tx]

	mu      sync.Mutex // guards running
	running bool
}

// New makes a service; it starts nothing. reg may be nil.
func New(cfg Config, db *postgres.DB, kinds []Kind, reg prometheus.Registerer, log *slog.Logger) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, db: db, kinds: map[string]*Kind{}, log: log, m: newMetrics(reg, kinds)}
	var errs []error
	for _, k := range kinds {
		if errs = append(errs, k.Validate()); s.kinds[k.Name] != nil {
			errs = append(errs, fmt.Errorf("job kind %q: is there twice", k.Name))
		}
		s.kinds[k.Name] = &k
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c := &river.Config{
		Schema: Schema, Logger: slog.New(quiet{log.Handler()}), PollOnly: true, FetchPollInterval: cfg.Poll, FetchCooldown: min(cfg.Poll, 100*time.Millisecond),
		MaxAttempts: maxDeliveries, JobTimeout: attemptLimit, RescueStuckJobsAfter: attemptLimit + time.Hour, CompletedJobRetentionPeriod: time.Hour,
	}
	if cfg.Workers > 0 {
		c.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: cfg.Workers}}
		c.Workers = river.NewWorkers()
		river.AddWorker(c.Workers, &worker{s: s})
		c.PeriodicJobs = s.periodic()
	}
	client, err := river.NewClient(riverpgxv5.New(db.Pool()), c)
	if err != nil {
		return nil, fmt.Errorf("making river's client: %w", err)
	}
	s.river = client
	return s, nil
}

const (
	// attemptLimit bounds one attempt, and with it how long River takes to tidy
	// up what a killed process left running in its tables.
	attemptLimit = 24 * time.Hour
	// maxDeliveries is beyond Config.MaxAttempts: our row says when to give up.
	maxDeliveries = 1000
	// kindResume is the delivery that looks for orphaned jobs.
	kindResume = "resume"
)

// args is what River keeps of a job: which one.
type args struct {
	Of string   `json:"of"` // kind
	ID plant.ID `json:"id"` // zero: periodic, to be entered now
}

// Kind is River's name for all our jobs.
func (args) Kind() string { return "foodflow" }

// worker is what River calls.
type worker struct {
	river.WorkerDefaults[args]
	s *Service
}

// Work does a delivery.
func (w *worker) Work(ctx context.Context, j *river.Job[args]) error {
	if j.Args.Of == kindResume {
		return w.s.resume(ctx)
	}
	k := w.s.kinds[j.Args.Of]
	if k == nil {
		return fmt.Errorf("job of unknown kind %q: another version of the program may know it", j.Args.Of)
	}
	id := j.Args.ID
	if id.IsZero() {
		var err error
		if id, err = w.s.due(ctx, k); err != nil || id.IsZero() {
			return err
		}
	}
	return w.s.work(ctx, k, id)
}

// due enters a periodic job, unless the one before is still open.
func (s *Service) due(ctx context.Context, k *Kind) (id plant.ID, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		j, _, err := enter(ctx, tx, Request{Kind: k.Name, Actor: "system"})
		if err == nil {
			id = j.ID
		}
		return err
	})
	return id, err
}

// resume delivers the jobs whose process died.
func (s *Service) resume(ctx context.Context) error {
	ids, kinds, err := s.orphans(ctx)
	if err != nil {
		return err
	}
	for i := range ids {
		if _, err := s.river.Insert(ctx, args{Of: kinds[i], ID: ids[i]}, nil); err != nil {
			return fmt.Errorf("delivering job %s again: %w", ids[i], err)
		}
		s.m.resumed.Inc()
	}
	return nil
}

// periodic lists what River's leader keeps the clock of.
func (s *Service) periodic() []*river.PeriodicJob {
	add := func(list []*river.PeriodicJob, of string, every time.Duration) []*river.PeriodicJob {
		return append(list, river.NewPeriodicJob(river.PeriodicInterval(every),
			func() (river.JobArgs, *river.InsertOpts) { return args{Of: of}, &river.InsertOpts{MaxAttempts: 1} },
			&river.PeriodicJobOpts{ID: of, RunOnStart: true}))
	}
	list := add(nil, kindResume, s.cfg.Sweep)
	for _, k := range s.kinds {
		if k.Every > 0 {
			list = add(list, k.Name, k.Every)
		}
	}
	return list
}

// NextRetry spaces River's deliveries as the rows do.
func (w *worker) NextRetry(j *river.Job[args]) time.Time { return time.Now().Add(pause(j.Attempt)) }

// Ask enters a job in a transaction of its own. While one of the same kind and
// tenant is open, that one is given.
func (s *Service) Ask(ctx context.Context, r Request) (j *Job, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		j, err = s.AskTx(ctx, tx, r)
		return err
	})
	return j, err
}

// AskTx is Ask in the caller's transaction: the job exists if that commits.
func (s *Service) AskTx(ctx context.Context, tx pgx.Tx, r Request) (*Job, error) {
	if len(s.kinds) > 0 && s.kinds[r.Kind] == nil {
		return nil, fault.New(fault.Invalid, "there is no work of kind %q", r.Kind)
	}
	j, fresh, err := enter(ctx, tx, r)
	if err != nil || !fresh {
		return j, err
	}
	if _, err := s.river.InsertTx(ctx, tx, args{Of: r.Kind, ID: j.ID}, nil); err != nil {
		return nil, fmt.Errorf("delivering job: %w", err)
	}
	return j, nil
}

// Start begins to work. Safe twice.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running || s.cfg.Workers == 0 {
		return nil
	}
	// Work ends with Stop, not with the context of the start.
	if err := s.river.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting jobs: %w", err)
	}
	s.running = true
	if _, err := s.river.Insert(ctx, args{Of: kindResume}, &river.InsertOpts{MaxAttempts: 1}); err != nil {
		return fmt.Errorf("looking for orphaned jobs: %w", err)
	}
	return nil
}

// Stop interrupts what runs, which is resumed elsewhere or later. Safe twice.
func (s *Service) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return nil
	}
	s.running = false
	if err := s.river.StopAndCancel(ctx); err != nil {
		return fmt.Errorf("stopping jobs: %w", err)
	}
	return nil
}
