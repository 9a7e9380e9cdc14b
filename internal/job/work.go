package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// work takes a job and does what is left of it. A job that is finished, or in
// other hands, is no error.
func (s *Service) work(ctx context.Context, k *Kind, id plant.ID) error {
	owner := plant.NewID()
	t, err := s.take(ctx, id, owner)
	if err != nil || t == nil {
		return err
	}
	s.m.began.WithLabelValues(k.Name).Inc()
	r := &Run{Job: t.job, s: s, kind: k, owner: owner, input: t.input, checkpoint: t.checkpoint, step: t.step, counts: t.job.Counts}
	if r.counts == nil {
		r.counts = map[string]int64{}
	}
	held, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{}) // closed when hold has returned
	go func() {
		defer close(done)
		s.hold(held, id, owner, cancel)
	}()
	err = s.steps(held, r)
	lost := errors.Is(context.Cause(held), errLost) || errors.Is(err, errLost)
	cancel(nil)
	<-done
	return s.settle(ctx, r, err, lost)
}

// steps does the steps that are left.
func (s *Service) steps(ctx context.Context, r *Run) (err error) {
	defer func() {
		// A step that panics must not take the process with it, nor be tried
		// for ever.
		if p := recover(); p != nil {
			err = fmt.Errorf("job %s panicked: %v", r.Job.ID, p)
		}
	}()
	for r.step < len(r.kind.Steps) {
		step := r.kind.Steps[r.step]
		if err := r.begin(ctx); err != nil {
			return err
		}
		point := "job." + r.kind.Name + "." + step.Name
		if err := fault.Point(point); err != nil {
			return err
		}
		if err := step.Do(ctx, r); err != nil {
			return fmt.Errorf("step %s: %w", step.Name, err)
		}
		if err := fault.Point(point + ".done"); err != nil {
			return err
		}
		if err := r.advance(ctx); err != nil {
			return err
		}
	}
	return r.end(ctx)
}

// hold renews the lease until ctx ends. When it is lost, or can't be renewed in
// time, it ends the work: before the lease itself ends, so that no other process
// has begun.
func (s *Service) hold(ctx context.Context, id, owner plant.ID, cancel context.CancelCauseFunc) {
	every := s.cfg.Lease / 5
	t := time.NewTicker(every)
	defer t.Stop()
	renewed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		before := time.Now()
		try, stop := context.WithTimeout(ctx, every)
		err := s.update(try, id, owner, "lease_until = now() + $3::interval", s.cfg.Lease)
		stop()
		switch {
		case err == nil:
			renewed = before
		case errors.Is(err, errLost), time.Since(renewed) > s.cfg.Lease*3/5:
			cancel(errLost)
			return
		}
	}
}

// settleTimeout bounds the last write of a job whose process is stopping.
const settleTimeout = 5 * time.Second

// settle notes what came of an attempt. The error that it returns makes River
// try again.
func (s *Service) settle(ctx context.Context, r *Run, err error, lost bool) error {
	log := s.log.With("job", r.Job.ID, "kind", r.kind.Name)
	if lost {
		log.WarnContext(ctx, "job lost to another process")
		s.m.ended.WithLabelValues(r.kind.Name, "lost").Inc()
		return nil
	}
	if err == nil {
		s.m.ended.WithLabelValues(r.kind.Name, "done").Inc()
		s.m.duration.WithLabelValues(r.kind.Name).Observe(time.Since(r.Job.CreatedAt).Seconds())
		return nil
	}
	stopping := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	release := "state = 'queued', owner = NULL, lease_until = NULL"
	switch {
	case stopping:
		// Not the work's fault: it doesn't count as an attempt.
		s.m.ended.WithLabelValues(r.kind.Name, "stopped").Inc()
		return errors.Join(err, s.update(ctx, r.Job.ID, r.owner, release+", attempts = attempts - 1"))
	case hopeless(err) || r.Job.Attempts >= cmp.Or(r.kind.Attempts, s.cfg.MaxAttempts):
		log.ErrorContext(ctx, "job given up", "attempts", r.Job.Attempts, "error", err)
		s.m.ended.WithLabelValues(r.kind.Name, "failed").Inc()
		return s.update(ctx, r.Job.ID, r.owner, ended+", state = 'failed', error = $3", shown(err))
	}
	log.WarnContext(ctx, "job interrupted, it is tried again", "attempts", r.Job.Attempts, "error", err)
	s.m.ended.WithLabelValues(r.kind.Name, "retried").Inc()
	return errors.Join(err, s.update(ctx, r.Job.ID, r.owner, release+", error = $3, run_at = now() + $4::interval", shown(err), pause(r.Job.Attempts)))
}

// pause is how long the attempt after the n-th waits.
func pause(n int) time.Duration {
	return min(time.Second<<min(max(n-1, 0), 10), time.Minute)
}

// hopeless says that trying again mends nothing.
func hopeless(err error) bool {
	return slices.Contains([]fault.Kind{fault.NotFound, fault.Conflict, fault.Invalid, fault.Forbidden, fault.PreconditionFailed}, fault.KindOf(err))
}

// shown is what a client may see of an error.
func shown(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Kind != fault.Internal {
		d, _ := fault.Describe(f)
		return d.Detail
	}
	return "the service made an error; its log has more under the job's id"
}
