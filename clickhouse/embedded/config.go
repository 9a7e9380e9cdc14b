package embedded

import (
	"errors"
	"fmt"
	"regexp"
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

// Analyst is a user for BI tools: reads some databases within limits. ClickHouse's
// readonly=2 holds for it, so it may change settings but for these limits.
type Analyst struct {
	Name     string
	Password string
	// Databases that it may read; without any, all of them.
	Databases []string
	// MaxMemory in bytes, MaxTime, MaxResultBytes of one statement.
	MaxMemory      int64
	MaxTime        time.Duration
	MaxResultBytes int64
}

// DefaultConfig is for a small machine shared with the rest of the pipeline.
func DefaultConfig() Config {
	return Config{Addr: "127.0.0.1:0", Connections: 16, QueueWait: 30 * time.Second, MaxMemory: 6 << 30, Drain: 15 * time.Second}
}

// DefaultAnalyst has limits that leave room for the pipeline; it lacks a
// password.
func DefaultAnalyst() Analyst {
	return Analyst{
		Name: "analyst", Databases: []string{"foodflow", "bi"},
		MaxMemory: 2 << 30, MaxTime: time.Minute, MaxResultBytes: 1 << 30,
	}
}

// userName is a name that needs no quotes in ClickHouse's configuration.
var userName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if c.Connections < 1 {
		errs = append(errs, errors.New("clickhouse.connections: must be positive"))
	}
	seen := map[string]bool{"default": true, ownerRole: true}
	for _, a := range c.Analysts {
		switch {
		case !userName.MatchString(a.Name):
			errs = append(errs, fmt.Errorf("clickhouse.analysts: %q is not a name of letters, digits and _", a.Name))
		case seen[a.Name]:
			errs = append(errs, fmt.Errorf("clickhouse.analysts: the name %q is taken", a.Name))
		}
		seen[a.Name] = true
		if a.Password == "" {
			errs = append(errs, fmt.Errorf("clickhouse.analysts: %s has no password", a.Name))
		}
		if a.MaxMemory < 1 || a.MaxTime < time.Second || a.MaxResultBytes < 1 {
			errs = append(errs, fmt.Errorf("clickhouse.analysts: the limits of %s must be positive, its time a second or more", a.Name))
		}
		for _, db := range a.Databases {
			if !userName.MatchString(db) {
				errs = append(errs, fmt.Errorf("clickhouse.analysts: %q is not a database of %s", db, a.Name))
			}
		}
	}
	return errors.Join(errs...)
}
