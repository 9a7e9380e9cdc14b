package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/foodflow/foodflow/internal/plant"
)

// Kind is one sort of work.
type Kind struct {
	Name  string // e.g. "tenant-export"
	Steps []Step // done in order, each once unless interrupted
	// Every makes the work periodic; 0: on request.
	Every time.Duration
	// Attempts is how often it is tried; 0: Config.MaxAttempts.
	Attempts int
}

// Step is a part of the work that is noted as done.
type Step struct {
	Name string
	// Weight is its part of the progress shown, beside the other steps'; 0 is 1.
	Weight float64
	// Do does it. It is called again after an interruption, with the checkpoint
	// that it noted last, and must then have the same effect as one call.
	Do func(ctx context.Context, r *Run) error
}

func (s Step) weight() float64 {
	if s.Weight > 0 {
		return s.Weight
	}
	return 1
}

// Validate names every fault at once.
func (k Kind) Validate() error {
	var errs []error
	if k.Name == "" || len(k.Name) > 64 || k.Name == kindResume {
		errs = append(errs, fmt.Errorf("job kind %q: is no name", k.Name))
	}
	if len(k.Steps) == 0 {
		errs = append(errs, fmt.Errorf("job kind %q: has no steps", k.Name))
	}
	for _, s := range k.Steps {
		if s.Name == "" || s.Do == nil {
			errs = append(errs, fmt.Errorf("job kind %q: step %q does nothing", k.Name, s.Name))
		}
	}
	return errors.Join(errs...)
}

// share is how far the whole work is, part of the way through a step.
func (k Kind) share(step int, part float64) float64 {
	var done, all float64
	for i, s := range k.Steps {
		switch w := s.weight(); {
		case i < step:
			done += w
		case i == step:
			done += w * min(max(part, 0), 1)
		}
		all += s.weight()
	}
	return min(done/all, 1)
}

// Request asks for work.
type Request struct {
	Kind string
	// Tenant is whose work it is; zero: the installation's.
	Tenant    plant.ID
	TenantKey string
	// Actor is on whose behalf: "user:<id>" or "system".
	Actor string
	// Input is kept as JSON until the work ends.
	Input any
}

// The states of a job.
const (
	Queued  = "queued" // waits for a worker, or for its next try
	Running = "running"
	Done    = "done"
	Failed  = "failed" // given up; asking again begins a new job
)

// Job is what can be seen of one.
type Job struct {
	ID         plant.ID         `json:"id" doc:"UUID" format:"uuid"`
	Kind       string           `json:"kind" example:"tenant-export"`
	TenantID   *plant.ID        `json:"tenant_id,omitempty" format:"uuid" doc:"whose work it is; absent: the installation's"`
	TenantKey  string           `json:"tenant_key,omitempty" example:"acme"`
	Actor      string           `json:"actor" doc:"who asked: user:<id> or system"`
	State      string           `json:"state" enum:"queued,running,done,failed"`
	Phase      string           `json:"phase" doc:"the step under way, or the last one" example:"readings"`
	Share      float64          `json:"share" doc:"how far it is, 0 to 1" minimum:"0" maximum:"1"`
	Counts     map[string]int64 `json:"counts" doc:"what has been counted so far, by name"`
	Result     json.RawMessage  `json:"result,omitempty" doc:"what came of it, by kind"`
	Error      string           `json:"error,omitempty" doc:"why the last try ended"`
	Attempts   int              `json:"attempts"`
	CreatedAt  time.Time        `json:"created_at" doc:"RFC 3339, UTC"`
	StartedAt  *time.Time       `json:"started_at" doc:"null: it has not begun"`
	UpdatedAt  time.Time        `json:"updated_at" doc:"RFC 3339, UTC"`
	FinishedAt *time.Time       `json:"finished_at" doc:"null: it is open"`
}

// Open reports whether work is left.
func (j *Job) Open() bool { return j.State == Queued || j.State == Running }
