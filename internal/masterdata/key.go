package masterdata

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
)

// APIKey is a key as it is stored: the secret is not among it.
type APIKey struct {
	Meta
	APIKeyFields
	Public     string     `json:"public" doc:"the part of the key that names it" example:"k3v7q2m4x5n6p7ra"`
	RevokedAt  *time.Time `json:"revoked_at"`
	LastUsedAt *time.Time `json:"last_used_at" doc:"by the API or by sending, to the minute"`
	CreatedBy  string     `json:"created_by"`
	Hash       []byte     `json:"-"`
}

// APIKeyFields is what an admin says of a key.
type APIKeyFields struct {
	Name      string     `json:"name" minLength:"1" maxLength:"200" example:"PLC gateway hall 2"`
	Scopes    []string   `json:"scopes" nullable:"false" minItems:"1" maxItems:"3" enum:"ingest,read,manage" example:"[\"ingest\"]"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"none: it doesn't expire"`
}

// APIKeys gives the operations on API keys.
func (s *Store) APIKeys() APIKeys { return APIKeys{set[APIKey]{s, keyResource(), nil}} }

// APIKeys is the operations on API keys.
type APIKeys struct{ set[APIKey] }

func keyResource() *resource[APIKey] {
	return &resource[APIKey]{
		table: "api_keys", aggregate: directory.KindAPIKey, noun: "APIKey",
		columns: []string{"name", "public", "hash", "scopes", "expires_at", "revoked_at", "last_used_at", "created_by"},
		meta:    func(k *APIKey) *Meta { return &k.Meta },
		bind: func(k *APIKey) []any {
			return []any{&k.Name, &k.Public, &k.Hash, &k.Scopes, &k.ExpiresAt, &k.RevokedAt, &k.LastUsedAt, &k.CreatedBy}
		},
		check: func(k *APIKey) *rules {
			var r rules
			r.text("name", k.Name, 1, 200)
			if len(k.Scopes) == 0 {
				r.add("scopes", "required", "must name at least one scope")
			}
			if r.count("scopes", len(k.Scopes), len(directory.Scopes())) {
				for i, s := range k.Scopes {
					r.oneOf(fmt.Sprintf("scopes[%d]", i), s, directory.Scopes())
				}
			}
			r.instant("expires_at", k.ExpiresAt)
			return &r
		},
		entry: keyEntry,
	}
}

func keyEntry(tenant plant.ID, k *APIKey) any {
	e := directory.APIKey{ID: k.ID, Tenant: tenant, Public: k.Public, Scopes: k.Scopes, Revoked: k.RevokedAt != nil}
	copy(e.Hash[:], k.Hash)
	if k.ExpiresAt != nil {
		e.ExpiresAt = k.ExpiresAt.UnixMilli()
	}
	return e
}

// Create adds a key and gives its text form, which is never to be had again.
func (x APIKeys) Create(ctx context.Context, who Actor, f APIKeyFields) (*APIKey, directory.Key, error) {
	clear := directory.NewKey()
	k, err := x.add(ctx, who, f, clear)
	return k, clear, err
}

func (x APIKeys) add(ctx context.Context, who Actor, f APIKeyFields, clear directory.Key) (*APIKey, error) {
	hash := clear.Hash()
	if f.ExpiresAt != nil && !f.ExpiresAt.After(x.s.now()) {
		var r rules
		r.add("expires_at", "past", "must be in the future")
		return nil, r.broken()
	}
	k := &APIKey{APIKeyFields: f, Public: clear.Public, CreatedBy: who.Name, Hash: hash[:]}
	return k, x.set.Create(ctx, who, k)
}

// Revoke ends a key for good. The entry stays, so that what it did can be
// traced; revoking again changes nothing.
func (x APIKeys) Revoke(ctx context.Context, who Actor, id string, expected int64) (k *APIKey, err error) {
	err = x.s.write(ctx, who, func(ctx context.Context, w *writing) error {
		if k, err = x.r.get(ctx, w.tx, id, ""); err != nil || k.RevokedAt != nil {
			return err
		}
		k, err = x.r.update(ctx, w, id, expected, "APIKeyRevoked", func(k *APIKey) error {
			k.RevokedAt = &w.now
			return nil
		})
		return err
	})
	return k, err
}

// Used notes when keys were last used, and gives for how many that was news. It
// is bookkeeping: no version, no event. A clock that is ahead of Postgres's is
// not believed. NotFound: the tenant is gone.
func (s *Store) Used(ctx context.Context, tenant plant.ID, used map[plant.ID]time.Time) (changed int64, err error) {
	ids, at := make([]plant.ID, 0, len(used)), make([]time.Time, 0, len(used))
	for id, t := range used {
		ids, at = append(ids, id), append(at, t)
	}
	err = s.db.InTenant(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE api_keys k SET last_used_at = u.at
			FROM (SELECT id, least(at, now()) AS at FROM unnest($1::uuid[], $2::timestamptz[]) AS x (id, at)) u
			WHERE k.id = u.id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)`, ids, at)
		if err != nil {
			return fmt.Errorf("noting use of keys: %w", err)
		}
		changed = tag.RowsAffected()
		return nil
	})
	return changed, goneTenant(err)
}
