package directory

import (
	"crypto/subtle"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Why a key is refused. To the outside all of them are the same 401.
var (
	ErrKeyUnknown      = errors.New("api key unknown")
	ErrKeyExpired      = errors.New("api key expired")
	ErrKeyRevoked      = errors.New("api key revoked")
	ErrTenantSuspended = errors.New("tenant suspended")
)

// Principal is who a key speaks for.
type Principal struct {
	Tenant plant.ID
	KeyID  plant.ID
	// Scopes belongs to the directory: read it, don't change it.
	Scopes []string

	noted *atomic.Int64 // the key's own
}

// Can reports whether the key has a scope.
func (p Principal) Can(scope string) bool { return slices.Contains(p.Scopes, scope) }

// Authenticate says whom a key speaks for. One SHA-256 of 52 bytes costs less
// than any cache that a revocation would have to reach, so nothing is cached:
// a revoked entry refuses from the moment it is applied. A key that is taken counts
// as used.
func (s *Store) Authenticate(key string, now time.Time) (Principal, error) {
	parsed, err := ParseKey(key)
	if err != nil {
		return Principal{}, err
	}
	given := parsed.Hash()
	k, known := findKey(s, &s.keys, plant.ID{}, parsed.Public)
	if !known {
		// The same comparison against nothing, so that time tells no one
		// which public parts exist.
		k = &APIKey{}
	}
	right := subtle.ConstantTimeCompare(given[:], k.Hash[:]) == 1
	if !known || !right {
		return Principal{}, ErrKeyUnknown
	}
	if err := s.holds(k, now); err != nil {
		return Principal{}, err
	}
	p := Principal{Tenant: k.Tenant, KeyID: k.ID, Scopes: k.Scopes, noted: k.noted}
	s.Using(p, now)
	return p, nil
}

// Still says whether a principal's key would be taken now too, and has the scope:
// for who authenticated once and stays.
func (s *Store) Still(p Principal, scope string, now time.Time) error {
	k, ok := findID(s, &s.keys, p.KeyID)
	if !ok || k.Tenant != p.Tenant || !slices.Contains(k.Scopes, scope) {
		return ErrKeyUnknown
	}
	return s.holds(k, now)
}

// holds says whether a key that is known may be used.
func (s *Store) holds(k *APIKey, now time.Time) error {
	if k.Revoked {
		return ErrKeyRevoked
	}
	if k.ExpiresAt != 0 && now.UnixMilli() >= k.ExpiresAt {
		return ErrKeyExpired
	}
	t, ok := s.Tenant(k.Tenant)
	if !ok {
		return ErrKeyUnknown
	}
	if t.Suspended {
		return ErrTenantSuspended
	}
	return nil
}

// Admits says whether something of a tenant may be taken by other ways than its
// keys: not if the tenant is gone or going, nor while it is suspended.
func (s *Store) Admits(tenant plant.ID) error {
	t, ok := s.Tenant(tenant)
	switch {
	case !ok || t.Deleting:
		return fault.New(fault.NotFound, "there is no tenant %s", tenant)
	case t.Suspended:
		return &fault.Error{Kind: fault.Forbidden, Detail: "the tenant " + tenant.String() + " is suspended", Cause: ErrTenantSuspended}
	}
	return nil
}
