package simulate

import (
	"errors"
	"time"
)

// Config is what is played.
type Config struct {
	Seed uint64
	// Truth is the path of the journal.
	Truth string
	// Backfill is how far before now a new run begins; it is played as fast as
	// it is taken, then time runs as it does.
	Backfill time.Duration
	// CatchUp is the longest pause that is made good after a restart, as a
	// gateway's buffer would. It stays below the horizon within which the
	// processors know copies and place late events.
	CatchUp time.Duration
	// AnomalyEvery is the mean time between two planted anomalies on one line.
	AnomalyEvery time.Duration
	// Copies is the share of requests that are sent a second time on purpose.
	Copies float64
	// Tick is the pause between two requests at real time.
	Tick time.Duration
	// Until ends the run at a device time, Unix milliseconds; 0: never.
	Until int64
}

// DefaultConfig plays the last quarter of an hour and goes on.
func DefaultConfig() Config {
	return Config{
		Seed: 1, Backfill: 15 * time.Minute, CatchUp: 90 * time.Minute,
		AnomalyEvery: 4 * time.Minute, Copies: 0.005, Tick: time.Second,
	}
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if c.Truth == "" {
		errs = append(errs, errors.New("simulate.truth: must not be empty"))
	}
	if c.Backfill < 0 || c.Backfill > 90*time.Minute {
		errs = append(errs, errors.New("simulate.backfill: must be between 0 and 90m, within the OEE ledger's horizon"))
	}
	if c.CatchUp < 0 || c.CatchUp > 110*time.Minute {
		errs = append(errs, errors.New("simulate.catch_up: must be between 0 and 110m, within the OEE ledger's horizon"))
	}
	if c.AnomalyEvery < 30*time.Second {
		errs = append(errs, errors.New("simulate.anomaly_every: must be at least 30s"))
	}
	if c.Copies < 0 || c.Copies > 1 {
		errs = append(errs, errors.New("simulate.copies: must be between 0 and 1"))
	}
	if c.Tick <= 0 {
		errs = append(errs, errors.New("simulate.tick: must be positive"))
	}
	return errors.Join(errs...)
}
