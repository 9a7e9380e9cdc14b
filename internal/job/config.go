package job

import (
	"errors"
	"time"
)

// Config bounds the work of a process.
type Config struct {
	// Workers is how many jobs run at once; 0 only asks for jobs.
	Workers int
	// Poll is how often work is looked for.
	Poll time.Duration
	// Lease is how long a job stays with a process that says nothing.
	Lease time.Duration
	// Sweep is how often jobs whose process died are looked for.
	Sweep time.Duration
	// MaxAttempts is how often a job is tried.
	MaxAttempts int
	// Keep is how long finished jobs are shown; those of periodic kinds are
	// shown for a day.
	Keep time.Duration
}

// DefaultConfig resumes a killed process's job within half a minute.
func DefaultConfig() Config {
	return Config{Workers: 4, Poll: 500 * time.Millisecond, Lease: 15 * time.Second, Sweep: 5 * time.Second, MaxAttempts: 20, Keep: 10 * 365 * 24 * time.Hour}
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if c.Workers < 0 || c.Workers > 100 {
		errs = append(errs, errors.New("job.workers: must be between 0 and 100"))
	}
	for _, d := range []struct {
		name string
		d    time.Duration
		min  time.Duration
	}{{"poll", c.Poll, 10 * time.Millisecond}, {"lease", c.Lease, 500 * time.Millisecond}, {"sweep", c.Sweep, 100 * time.Millisecond}, {"keep", c.Keep, 24 * time.Hour}} {
		if d.d < d.min {
			errs = append(errs, errors.New("job."+d.name+": must be at least "+d.min.String()))
		}
	}
	if c.MaxAttempts < 1 {
		errs = append(errs, errors.New("job.max_attempts: must be positive"))
	}
	return errors.Join(errs...)
}
