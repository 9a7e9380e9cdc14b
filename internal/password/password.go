// Package password turns passwords into argon2id hashes and compares them, with
// a bound on how many are computed at once.
//
// One hash fills 19 MiB for tens of milliseconds (the parameters that OWASP's
// cheat sheet names for argon2id: m=19456, t=2, p=1). The gate keeps a thousand
// log-ins at once from filling memory: who waits longer than the limit gets
// fault.Unavailable. An unknown user costs the same as a known one, through
// Waste.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/foodflow/foodflow/internal/fault"
)

const (
	memoryKiB = 19456
	passes    = 2
	threads   = 1
	saltBytes = 16
	sumBytes  = 32
	// MinLength and MaxLength bound a password in bytes; the upper bound keeps
	// the hash's input small.
	MinLength = 10
	MaxLength = 256
)

// ErrHash means that a stored hash can't be read.
var ErrHash = errors.New("not an argon2id hash")

// Hasher computes hashes, so many at once. It is safe for concurrent use.
type Hasher struct {
	gate chan struct{} // one token a hash being computed; never closed
	wait time.Duration
}

// New makes a hasher that computes parallel hashes at once and lets others wait
// so long for their turn.
func New(parallel int, wait time.Duration) *Hasher {
	return &Hasher{gate: make(chan struct{}, max(parallel, 1)), wait: wait}
}

func (h *Hasher) enter(ctx context.Context) error {
	select {
	case h.gate <- struct{}{}:
		return nil
	default:
	}
	t := time.NewTimer(h.wait)
	defer t.Stop()
	select {
	case h.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting to hash: %w", ctx.Err())
	case <-t.C:
		return fault.NewUnavailable(h.wait, nil, "too many log-ins at once")
	}
}

func (h *Hasher) leave() { <-h.gate }

// Check says what is wrong with a new password.
func Check(clear string) error {
	if len(clear) < MinLength || len(clear) > MaxLength {
		return fault.NewInvalid(fault.Item{Location: "password", Rule: "length", Message: fmt.Sprintf("must have %d to %d bytes", MinLength, MaxLength)})
	}
	return nil
}

// Hash gives the PHC string of a new password.
func (h *Hasher) Hash(ctx context.Context, clear string) (string, error) {
	if err := Check(clear); err != nil {
		return "", err
	}
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails; the runtime ends the process instead
	sum := argon2.IDKey([]byte(clear), salt, passes, memoryKiB, threads, sumBytes)
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memoryKiB, passes, threads, enc.EncodeToString(salt), enc.EncodeToString(sum)), nil
}

// Verify reports whether a password is the one of a hash.
func (h *Hasher) Verify(ctx context.Context, hash, clear string) (bool, error) {
	p, err := parse(hash)
	if err != nil {
		return false, err
	}
	if len(clear) > MaxLength {
		clear = clear[:MaxLength] // too long to be right; hashed all the same
		p.sum = nil
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	got := argon2.IDKey([]byte(clear), p.salt, p.time, p.memory, p.threads, sumBytes)
	return subtle.ConstantTimeCompare(got, p.sum) == 1, nil
}

// Waste takes as long as Verify, for users that don't exist.
func (h *Hasher) Waste(ctx context.Context, clear string) error {
	if err := h.enter(ctx); err != nil {
		return err
	}
	defer h.leave()
	argon2.IDKey([]byte(clear[:min(len(clear), MaxLength)]), make([]byte, saltBytes), passes, memoryKiB, threads, sumBytes)
	return nil
}

type params struct {
	memory, time uint32
	threads      uint8
	salt, sum    []byte
}

// The most that a stored hash may ask for; it is our own store, yet a row
// written by hand must not fill memory.
const (
	maxMemoryKiB = 1 << 18
	maxPasses    = 16
)

func parse(hash string) (p params, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, ErrHash
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil || n != 3 {
		return p, ErrHash
	}
	if p.memory > maxMemoryKiB || p.time < 1 || p.time > maxPasses || p.threads < 1 {
		return p, ErrHash
	}
	enc := base64.RawStdEncoding
	if p.salt, err = enc.DecodeString(parts[4]); err != nil {
		return p, ErrHash
	}
	if p.sum, err = enc.DecodeString(parts[5]); err != nil || len(p.sum) != sumBytes {
		return p, ErrHash
	}
	return p, nil
}
