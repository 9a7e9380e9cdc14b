package embedded

import (
	"errors"
	"time"
)

// Config places the engine's process.
type Config struct {
	// Library is the path of libchdb.so.
	Library string
	// Dir is the data directory.
	Dir string
	// Addr is host:port to listen on; port 0 takes a free one.
	Addr string
	// Password of the user "default", who may do anything; empty means none is
	// asked for.
	Password string
	// Analysts are further users, who may only read.
	Analysts []Analyst
	// Connections bounds the statements that run at once; analysts have half of
	// it, beside the others'.
	Connections int
	// QueueWait is how long a request waits for one of the connections.
	QueueWait time.Duration
	// MaxMemory bounds the engine's memory in bytes; 0 leaves the engine's own
	// bound, nine tenths of the machine.
	MaxMemory int64
	// Drain is how long running statements may go on once the engine is asked to
	// stop; then those that read are cancelled.
	Drain time.Duration
}

// DefaultConfig is for a small machine shared with the rest of the pipeline.
func DefaultConfig() Config {
	return Config{Addr: "127.0.0.1:0", Connections: 16, QueueWait: 30 * time.Second, MaxMemory: 6 << 30, Drain: 15 * time.Second}
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if c.Connections < 1 {
		errs = append(errs, errors.New("clickhouse.connections: must be positive"))
	}
	if len(c.Analysts) > 0 && c.Password == "" {
		// Who need only leave out the name to be "default" is kept from nothing.
		errs = append(errs, errors.New("clickhouse.password: must be set where there are analysts, or each of them may do anything as the user default"))
	}
	seen := map[string]bool{"default": true, ownerRole: true}
	for _, a := range c.Analysts {
		errs = append(errs, a.validate(seen)...)
	}
	return errors.Join(errs...)
}
