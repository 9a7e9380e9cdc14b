package live

import (
	"errors"
	"fmt"
)

// Config bounds the listeners.
type Config struct {
	// Tenant and Total are how many listeners one tenant and the process may
	// have.
	Tenant, Total int
	// Buffer is how many messages may wait for one listener.
	Buffer int
	// Sensors is how many sensors' readings one listener may choose.
	Sensors int
	// Replay is how many records may be read to resume one listener, and
	// Replays how many may be resumed at once.
	Replay  int64
	Replays int
}

// DefaultConfig takes a hundred listeners a tenant.
func DefaultConfig() Config {
	return Config{Tenant: 100, Total: 2000, Buffer: 512, Sensors: 50, Replay: 200_000, Replays: 4}
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	for name, v := range map[string]int64{
		"tenant": int64(c.Tenant), "total": int64(c.Total), "buffer": int64(c.Buffer), "sensors": int64(c.Sensors), "replay": c.Replay, "replays": int64(c.Replays),
	} {
		if v < 1 {
			errs = append(errs, fmt.Errorf("live.%s: must be positive", name))
		}
	}
	return errors.Join(errs...)
}
