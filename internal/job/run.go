package job

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/foodflow/foodflow/internal/plant"
)

// showEvery is how often progress inside a step is written.
const showEvery = 500 * time.Millisecond

// Run is a job in the hands of its worker. Its methods are for the goroutine
// that does the step, except Count and Show, which any may call.
type Run struct {
	// Job is the row as it was taken.
	Job *Job

	s          *Service
	kind       *Kind
	owner      plant.ID
	input      []byte
	checkpoint []byte

	mu     sync.Mutex // guards what follows
	step   int
	counts map[string]int64
	shown  time.Time
	result any
}

// Input decodes what was asked for.
func (r *Run) Input(v any) error {
	if err := json.Unmarshal(r.input, v); err != nil {
		return fmt.Errorf("reading input of job %s: %w", r.Job.ID, err)
	}
	return nil
}

// Checkpoint decodes what was noted last, by this step or one before; nothing
// noted leaves v as it is.
func (r *Run) Checkpoint(v any) error {
	if err := json.Unmarshal(r.checkpoint, v); err != nil {
		return fmt.Errorf("reading checkpoint of job %s: %w", r.Job.ID, err)
	}
	return nil
}

// Note writes a checkpoint; it is durable when Note returns.
func (r *Run) Note(ctx context.Context, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding checkpoint of job %s: %w", r.Job.ID, err)
	}
	if err := r.s.update(ctx, r.Job.ID, r.owner, "checkpoint = $3", text); err != nil {
		return err
	}
	r.checkpoint = text
	return nil
}

// Count sets a figure that is shown with the progress.
func (r *Run) Count(name string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[name] = n
}

// Result sets what the job shows once it is done.
func (r *Run) Result(v any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result = v
}

// Show writes how far the step is, 0 to 1, now and then. The next look may be
// half a second late; that it can't be written is no error of the work.
func (r *Run) Show(ctx context.Context, part float64) {
	r.mu.Lock()
	if time.Since(r.shown) < showEvery {
		r.mu.Unlock()
		return
	}
	r.shown = time.Now()
	share, counts := r.kind.share(r.step, part), maps.Clone(r.counts)
	r.mu.Unlock()
	if err := r.s.update(ctx, r.Job.ID, r.owner, "share = greatest(share, $3), counts = $4", share, counts); err != nil {
		r.s.log.DebugContext(ctx, "progress not shown", "job", r.Job.ID, "error", err)
	}
}

// begin notes which step is under way.
func (r *Run) begin(ctx context.Context) error {
	return r.s.update(ctx, r.Job.ID, r.owner, "phase = $3, error = ''", r.kind.Steps[r.step].Name)
}

// advance notes a step as done.
func (r *Run) advance(ctx context.Context) error {
	r.mu.Lock()
	r.step++
	step, share, counts := r.step, r.kind.share(r.step, 0), maps.Clone(r.counts)
	r.mu.Unlock()
	return r.s.update(ctx, r.Job.ID, r.owner, "step = $3, share = $4, counts = $5", step, share, counts)
}

// end notes the whole as done.
func (r *Run) end(ctx context.Context) error {
	r.mu.Lock()
	result, counts := r.result, maps.Clone(r.counts)
	r.mu.Unlock()
	var text []byte
	if result != nil {
		var err error
		if text, err = json.Marshal(result); err != nil {
			return fmt.Errorf("encoding result of job %s: %w", r.Job.ID, err)
		}
	}
	return r.s.update(ctx, r.Job.ID, r.owner, ended+", state = 'done', share = 1, error = '', counts = $3, result = $4", counts, text)
}

// ended empties what only the work needed.
const ended = "input = '{}', checkpoint = '{}', owner = NULL, lease_until = NULL, finished_at = now()"
