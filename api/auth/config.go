package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/foodflow/foodflow/internal/masterdata"
)

// Config is the law of tokens.
type Config struct {
	Issuer   string
	Audience string
	// Access and Refresh are the lives of the two tokens.
	Access  time.Duration
	Refresh time.Duration
	// Grace is how long a spent refresh token still gives its successor.
	Grace time.Duration
	// Rotate is how long a key signs; it is published Publish before.
	Rotate  time.Duration
	Publish time.Duration
	// Secret is 32 random bytes of the installation. It seals signing keys and
	// derives refresh tokens; with another one all log-ins end.
	Secret []byte
	// Failures is how many wrong log-ins an account or a source may have in
	// Window before it has to wait.
	Failures int
	Window   time.Duration
}

// DefaultConfig has no secret.
func DefaultConfig() Config {
	return Config{
		Issuer: "foodflow", Audience: "foodflow-api",
		Access: 30 * time.Minute, Refresh: 7 * 24 * time.Hour, Grace: 10 * time.Second,
		Rotate: 30 * 24 * time.Hour, Publish: 10 * time.Minute,
		Failures: 10, Window: 5 * time.Minute,
	}
}

// secretBytes is the length of Secret: a key of AES-256.
const secretBytes = 32

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	must := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	must(c.Issuer != "", "auth.issuer: must not be empty")
	must(c.Audience != "", "auth.audience: must not be empty")
	must(c.Access > 0 && c.Access+leeway < masterdata.RevocationKept, fmt.Sprintf("auth.access: must be positive and end before a revocation does, %s", masterdata.RevocationKept))
	must(c.Refresh > c.Access, "auth.refresh: must be longer than auth.access")
	must(c.Grace >= 0 && c.Grace <= time.Minute, "auth.grace: must be 0 to 1m")
	must(c.Publish >= refreshKeys, "auth.publish: must be at least the interval at which keys are read, 30s")
	must(c.Rotate > c.Publish, "auth.rotate: must be longer than auth.publish")
	must(len(c.Secret) == secretBytes, "auth.secret: must have 32 bytes")
	must(c.Failures > 0 && c.Window > 0, "auth.failures, auth.window: must be positive")
	return errors.Join(errs...)
}
