package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

// quick looks for work often. Its leases outlast whatever holds a machine up.
func quick() job.Config {
	c := job.DefaultConfig()
	c.Poll, c.Lease, c.Sweep = 50*time.Millisecond, time.Minute, 200*time.Millisecond
	return c
}

// inherited is quick with leases that are soon over, for work that is taken over.
func inherited() job.Config {
	c := quick()
	c.Lease = time.Second
	return c
}

func database(t *testing.T) (string, *postgres.DB) {
	t.Helper()
	mc := migrate.DefaultConfig()
	mc.URL = testkit.Postgres(t)
	m, err := migrate.New(mc, slog.New(slog.DiscardHandler))
	must(t, err)
	must(t, m.Shared(t.Context()))
	return mc.URL, open(t, mc.URL)
}

func open(t *testing.T, url string) *postgres.DB { return openThrough(t, url, "") }

// openThrough reaches Postgres through a PgBouncer when direct is given.
func openThrough(t *testing.T, url, direct string) *postgres.DB {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL, cfg.Direct = url, direct
	db, err := postgres.Open(context.Background(), cfg)
	must(t, err)
	t.Cleanup(db.Close)
	return db
}

func start(t *testing.T, db *postgres.DB, cfg job.Config, kinds ...job.Kind) *job.Service {
	t.Helper()
	s, err := job.New(cfg, db, kinds, nil, slog.New(slog.DiscardHandler))
	must(t, err)
	must(t, s.Start(t.Context()))
	must(t, s.Start(t.Context())) // safe twice
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *job.Service) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	must(t, s.Stop(ctx))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await looks until the job is as wanted.
func await(t *testing.T, s *job.Service, id plant.ID, what string, ok func(*job.Job) bool) *job.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		j, err := s.Get(ctx, id)
		must(t, err)
		if ok(j) {
			return j
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waiting until the job is %s: %+v", what, j)
		case <-tick.C:
		}
	}
}

func finished(j *job.Job) bool { return !j.Open() }

func TestStepsProgressAndResult(t *testing.T) {
	_, db := database(t)
	gate := make(chan struct{})
	type input struct{ Word string }
	k := job.Kind{Name: "work", Steps: []job.Step{
		{Name: "first", Weight: 3, Do: func(ctx context.Context, r *job.Run) error {
			r.Count("things", 7)
			return r.Note(ctx, map[string]int{"seen": 7})
		}},
		{Name: "second", Do: func(ctx context.Context, r *job.Run) error {
			r.Count("others", 1)
			r.Show(ctx, 0.5)
			select {
			case <-gate:
			case <-ctx.Done():
				return ctx.Err()
			}
			var in input
			var note map[string]int
			if err := errors.Join(r.Input(&in), r.Checkpoint(&note)); err != nil {
				return err
			}
			r.Result(map[string]any{"word": in.Word, "seen": note["seen"]})
			return nil
		}},
	}}
	s := start(t, db, quick(), k)
	tenant := plant.NewID()
	j, err := s.Ask(t.Context(), job.Request{Kind: "work", Tenant: tenant, TenantKey: "acme", Actor: "user:x", Input: input{"canary"}})
	must(t, err)
	if j.State != job.Queued || j.Share != 0 || j.FinishedAt != nil {
		t.Errorf("asked: %+v", j)
	}
	half := await(t, s, j.ID, "in its second step", func(j *job.Job) bool { return j.Share >= 0.875 })
	if half.State != job.Running || half.Phase != "second" || half.Share != 0.875 || half.Counts["things"] != 7 || half.Counts["others"] != 1 || half.StartedAt == nil {
		t.Errorf("half way: %+v", half)
	}
	again, err := s.Ask(t.Context(), job.Request{Kind: "work", Tenant: tenant, Actor: "user:y"})
	must(t, err)
	if again.ID != j.ID {
		t.Error("a second request for an open job made another")
	}
	close(gate)
	done := await(t, s, j.ID, "done", finished)
	if done.State != job.Done || done.Share != 1 || string(done.Result) != `{"seen": 7, "word": "canary"}` || done.FinishedAt == nil || done.Attempts != 1 {
		t.Errorf("done: %+v %s", done, done.Result)
	}
	var left string
	must(t, db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT input::text || checkpoint::text FROM jobs WHERE id = $1", j.ID).Scan(&left)
	}))
	if left != "{}{}" {
		t.Errorf("input and checkpoint stay: %s", left)
	}
	if list, more, err := s.List(t.Context(), job.Filter{Kind: "work", State: job.Done, Tenant: tenant, Limit: 10}); err != nil || more || len(list) != 1 {
		t.Errorf("list: %v, %v, %v", list, more, err)
	}
	if list, _, err := s.List(t.Context(), job.Filter{Before: j.ID, Limit: 10, Kind: "work"}); err != nil || len(list) != 0 {
		t.Errorf("before the first: %v, %v", list, err)
	}
}

func TestErrorsAreTriedAgainOrGivenUp(t *testing.T) {
	_, db := database(t)
	var tries atomic.Int32
	cfg := quick()
	cfg.MaxAttempts = 2
	s := start(t, db, cfg,
		job.Kind{Name: "shaky", Steps: []job.Step{{Name: "a", Do: func(context.Context, *job.Run) error {
			if tries.Add(1) == 1 {
				return errors.New("canary inside")
			}
			return nil
		}}}},
		job.Kind{Name: "hopeless", Steps: []job.Step{{Name: "a", Do: func(context.Context, *job.Run) error {
			return fmt.Errorf("doing it: %w", fault.New(fault.Conflict, "the tenant is active"))
		}}}},
		job.Kind{Name: "panicking", Steps: []job.Step{{Name: "a", Do: func(context.Context, *job.Run) error { panic("canary inside") }}}},
	)
	for _, c := range []struct {
		kind, state, shown string
		attempts           int
	}{{"shaky", job.Done, "", 2}, {"hopeless", job.Failed, "the tenant is active", 1}, {"panicking", job.Failed, "the service made an error; its log has more under the job's id", 2}} {
		j, err := s.Ask(t.Context(), job.Request{Kind: c.kind, Actor: "system"})
		must(t, err)
		j = await(t, s, j.ID, c.state, finished)
		if j.State != c.state || j.Attempts != c.attempts || j.Error != c.shown {
			t.Errorf("%s: %+v", c.kind, j)
		}
	}
	if _, err := s.Ask(t.Context(), job.Request{Kind: "unheard of", Actor: "system"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an unknown kind: %v", err)
	}
}

// TestRolledBackIsNotDone holds that a job belongs to the transaction that asks
// for it.
func TestRolledBackIsNotDone(t *testing.T) {
	_, db := database(t)
	var ran atomic.Int32
	s := start(t, db, quick(), job.Kind{Name: "work", Steps: []job.Step{{Name: "a", Do: func(context.Context, *job.Run) error {
		ran.Add(1)
		return nil
	}}}})
	undone := errors.New("undone")
	if err := db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := s.AskTx(ctx, tx, job.Request{Kind: "work", Actor: "system"}); err != nil {
			return err
		}
		return undone
	}); !errors.Is(err, undone) {
		t.Fatal(err)
	}
	// A job asked for later is done first if the other doesn't exist.
	j, err := s.Ask(t.Context(), job.Request{Kind: "work", Actor: "system"})
	must(t, err)
	await(t, s, j.ID, "done", finished)
	if ran.Load() != 1 {
		t.Errorf("ran %d times", ran.Load())
	}
}

// TestStoppedIsResumed holds a clean stop: the work goes on elsewhere from its
// checkpoint and counts no attempt.
func TestStoppedIsResumed(t *testing.T) {
	url, db := database(t)
	began := make(chan struct{}, 2)
	kind := func(last bool) job.Kind {
		return job.Kind{Name: "work", Steps: []job.Step{{Name: "a", Do: func(ctx context.Context, r *job.Run) error {
			var n int
			if err := r.Checkpoint(&struct{ N *int }{&n}); err != nil {
				return err
			}
			if last {
				r.Result(n)
				return nil
			}
			if err := r.Note(ctx, map[string]int{"N": 41}); err != nil {
				return err
			}
			began <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}}}}
	}
	a := start(t, db, quick(), kind(false))
	j, err := a.Ask(t.Context(), job.Request{Kind: "work", Actor: "system"})
	must(t, err)
	<-began
	stop(t, a)
	if j, err := a.Get(t.Context(), j.ID); err != nil || j.State != job.Queued || j.Attempts != 0 {
		t.Errorf("stopped: %+v, %v", j, err)
	}
	b := start(t, open(t, url), quick(), kind(true))
	if j := await(t, b, j.ID, "done", finished); j.State != job.Done || string(j.Result) != "41" {
		t.Errorf("resumed: %+v", j)
	}
}

// TestOneProcessAtATime runs two services on one database; a worker whose lease
// was taken finds its context ended and can write nothing more.
func TestOneProcessAtATime(t *testing.T) {
	url, db := database(t)
	began, ended := make(chan struct{}), make(chan error, 1)
	var first atomic.Bool
	second := func(r *job.Run) error {
		r.Result("second")
		return nil
	}
	lazy := job.Kind{Name: "work", Steps: []job.Step{{Name: "a", Do: func(ctx context.Context, r *job.Run) error {
		if first.Swap(true) {
			return second(r) // the first process may be the one that takes it again
		}
		close(began)
		<-ctx.Done()
		ended <- r.Note(context.WithoutCancel(ctx), map[string]int{"late": 1})
		return nil
	}}}}
	a := start(t, db, inherited(), lazy)
	j, err := a.Ask(t.Context(), job.Request{Kind: "work", Actor: "system"})
	must(t, err)
	<-began
	// The lease is taken away as if this process had been frozen past it.
	must(t, db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE jobs SET owner = $2, lease_until = now() - interval '1 second', run_at = now() - interval '1 hour' WHERE id = $1", j.ID, plant.NewID())
		return err
	}))
	b := start(t, open(t, url), inherited(), job.Kind{Name: "work", Steps: []job.Step{{Name: "a", Do: func(_ context.Context, r *job.Run) error {
		return second(r)
	}}}})
	if err := <-ended; err == nil {
		t.Error("the first worker could still write")
	}
	if j := await(t, b, j.ID, "done", finished); string(j.Result) != `"second"` {
		t.Errorf("done: %+v", j)
	}
}

func TestPeriodicAndForget(t *testing.T) {
	_, db := database(t)
	var ran atomic.Int32
	s := start(t, db, quick(), job.Kind{Name: "tick", Every: 300 * time.Millisecond, Steps: []job.Step{{Name: "a", Do: func(context.Context, *job.Run) error {
		ran.Add(1)
		return nil
	}}}})
	done := 0 // a run that has begun need not be noted as done yet
	for deadline := time.Now().Add(3 * time.Minute); ran.Load() < 3 || done < 3; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("ran %d times, done %d", ran.Load(), done)
		}
		must(t, db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, "SELECT count(*) FROM jobs WHERE state = 'done'").Scan(&done)
		}))
	}
	must(t, db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE jobs SET finished_at = now() - interval '25 hours' WHERE state = 'done'")
		return err
	}))
	if n, err := s.Forget(t.Context()); err != nil || n < 3 {
		t.Errorf("forgot %d, %v", n, err)
	}
}

func TestConfigAndKindsNameTheirFaults(t *testing.T) {
	if err := (job.Config{Workers: -1}).Validate(); err == nil {
		t.Error("an empty config is taken")
	}
	db := &postgres.DB{}
	for name, k := range map[string]job.Kind{"no name": {}, "no steps": {Name: "a"}, "no work": {Name: "a", Steps: []job.Step{{Name: "x"}}}} {
		if _, err := job.New(quick(), db, []job.Kind{k}, nil, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := json.Marshal(job.Job{}); err != nil {
		t.Error(err)
	}
}
