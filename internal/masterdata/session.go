package masterdata

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
)

// Outcome is what became of a refresh token that was presented.
type Outcome uint8

// The outcomes.
const (
	TokenRefused  Outcome = iota // unknown, expired, or its log-in has ended
	TokenRotated                 // spent now; its successor is stored
	TokenRepeated                // spent a moment ago; the successor stands
	TokenReused                  // spent long ago: the log-in has been ended
)

// Login is one log-in, the family of refresh tokens that descend from it.
type Login struct {
	Family plant.ID
	Tenant plant.ID
	User   plant.ID
}

// BeginLogin stores a log-in and its first refresh token, by hash.
func (s *Store) BeginLogin(ctx context.Context, tenant, user plant.ID, hash []byte, life time.Duration) (Login, error) {
	l := Login{Family: plant.NewID(), Tenant: tenant, User: user}
	now := s.stamp()
	err := s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO token_families (id, tenant_id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
			l.Family, tenant, user, now, now.Add(life)); err != nil {
			return fmt.Errorf("storing log-in: %w", err)
		}
		return storeToken(ctx, tx, hash, l.Family, now, life)
	})
	return l, err
}

func storeToken(ctx context.Context, tx pgx.Tx, hash []byte, family plant.ID, now time.Time, life time.Duration) error {
	if _, err := tx.Exec(ctx, "INSERT INTO refresh_tokens (hash, family_id, created_at, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		hash, family, now, now.Add(life)); err != nil {
		return fmt.Errorf("storing refresh token: %w", err)
	}
	return nil
}

// Rotate spends a refresh token for its successor. chain gives the token's hash
// (0), its successor's (1), and so on; next is the place in it of the token to go on
// with. The family's row is locked, so of many at once one rotates and the others
// repeat. A repetition within grace finds the newest token, since the successor may
// be spent by another tab already; a later one ends the log-in.
func (s *Store) Rotate(ctx context.Context, chain func(n int) []byte, grace, life time.Duration) (l Login, out Outcome, next int, err error) {
	now, hash := s.stamp(), chain(0)
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		out = TokenRefused
		var expires, ends time.Time
		var spent, revoked *time.Time
		err := tx.QueryRow(ctx, `SELECT f.id, f.tenant_id, f.user_id, f.expires_at, f.revoked_at
			FROM token_families f WHERE f.id = (SELECT family_id FROM refresh_tokens WHERE hash = $1) FOR UPDATE`, hash).
			Scan(&l.Family, &l.Tenant, &l.User, &ends, &revoked)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading log-in: %w", err)
		}
		// Read behind the lock: an earlier holder may have spent it just now.
		if err := tx.QueryRow(ctx, "SELECT expires_at, spent_at FROM refresh_tokens WHERE hash = $1", hash).Scan(&expires, &spent); err != nil {
			return fmt.Errorf("reading refresh token: %w", err)
		}
		if revoked != nil || !now.Before(expires) {
			return nil
		}
		if spent != nil {
			if now.Sub(*spent) <= grace {
				out = TokenRepeated
				next, err = newest(ctx, tx, chain)
				return err
			}
			out = TokenReused
			return endFamily(ctx, tx, l.Tenant, l.Family, now, "reuse")
		}
		out, next = TokenRotated, 1
		if _, err := tx.Exec(ctx, "UPDATE refresh_tokens SET spent_at = $2 WHERE hash = $1", hash, now); err != nil {
			return fmt.Errorf("spending refresh token: %w", err)
		}
		if _, err := tx.Exec(ctx, "UPDATE token_families SET expires_at = greatest(expires_at, $2) WHERE id = $1", l.Family, now.Add(life)); err != nil {
			return fmt.Errorf("prolonging log-in: %w", err)
		}
		return storeToken(ctx, tx, chain(1), l.Family, now, life)
	})
	return l, out, next, err
}

// maxChain bounds how often the tabs of one log-in can refresh within the grace.
const maxChain = 100

// newest finds the token of a chain that is not spent. All behind the first were
// spent later than it, so within the grace too.
func newest(ctx context.Context, tx pgx.Tx, chain func(n int) []byte) (int, error) {
	for n := 1; n < maxChain; n++ {
		var spent bool
		if err := tx.QueryRow(ctx, "SELECT spent_at IS NOT NULL FROM refresh_tokens WHERE hash = $1", chain(n)).Scan(&spent); err != nil {
			return 0, fmt.Errorf("reading a successor: %w", err)
		}
		if !spent {
			return n, nil
		}
	}
	return 0, fault.New(fault.RateLimited, "the log-in is refreshed too often")
}

// endFamily ends a log-in with the access tokens that are out.
func endFamily(ctx context.Context, tx pgx.Tx, tenant, family plant.ID, now time.Time, reason string) error {
	if _, err := tx.Exec(ctx, "UPDATE token_families SET revoked_at = $2, reason = $3 WHERE id = $1 AND revoked_at IS NULL", family, now, reason); err != nil {
		return fmt.Errorf("ending log-in: %w", err)
	}
	w := &writing{tx: tx, who: System(tenant), now: now}
	return w.revoke(ctx, family, 0)
}

// EndLogin ends the log-in that a refresh token belongs to; one that is unknown
// has nothing to end.
func (s *Store) EndLogin(ctx context.Context, hash []byte) error {
	return s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var tenant, family plant.ID
		err := tx.QueryRow(ctx, `SELECT tenant_id, id FROM token_families
			WHERE id = (SELECT family_id FROM refresh_tokens WHERE hash = $1) AND revoked_at IS NULL`, hash).Scan(&tenant, &family)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("finding log-in: %w", err)
		}
		return endFamily(ctx, tx, tenant, family, s.stamp(), "logout")
	})
}

// endLogins ends every log-in of a user, in the transaction that changes the user:
// the password changed ("password"), or the user may not come in any more, or may
// do less ("deactivated"). Log-ins are the installation's, so it steps out of the
// tenant's role for the one statement.
func (w *writing) endLogins(ctx context.Context, user plant.ID, reason string) error {
	if err := postgres.Leave(ctx, w.tx); err != nil {
		return err
	}
	if _, err := w.tx.Exec(ctx, "UPDATE token_families SET revoked_at = $3, reason = $4 WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL",
		w.who.Tenant, user, w.now, reason); err != nil {
		return fmt.Errorf("ending log-ins: %w", err)
	}
	return postgres.Enter(ctx, w.tx, w.who.Tenant)
}

// Purge forgets log-ins that ended a day ago, revocations of tokens that have
// ended by themselves and keys that nobody trusts.
func (s *Store) Purge(ctx context.Context) error {
	return s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		before := s.stamp().Add(-24 * time.Hour)
		if _, err := tx.Exec(ctx, "DELETE FROM token_families WHERE expires_at < $1 OR revoked_at < $1", before); err != nil {
			return fmt.Errorf("purging log-ins: %w", err)
		}
		if err := forgetRevocations(ctx, tx, s.stamp()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM signing_keys WHERE trusted_until < $1", before); err != nil {
			return fmt.Errorf("purging signing keys: %w", err)
		}
		return nil
	})
}

// SigningKey is a key of access tokens; Private is sealed by package auth.
type SigningKey struct {
	KID          string
	Public       []byte
	Private      []byte
	SignsFrom    time.Time
	TrustedUntil time.Time
}

// SigningKeys gives the keys still trusted, the one that signs last.
func (s *Store) SigningKeys(ctx context.Context) (keys []SigningKey, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT kid, public_key, private_key, signs_from, trusted_until FROM signing_keys WHERE trusted_until > $1 ORDER BY signs_from, kid", s.now())
		if err != nil {
			return fmt.Errorf("reading signing keys: %w", err)
		}
		keys, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SigningKey])
		return err
	})
	return keys, err
}

// AddSigningKey stores a key unless another process has just stored one that
// signs from after: of many that see the need at once, one adds.
func (s *Store) AddSigningKey(ctx context.Context, k SigningKey, after time.Time) error {
	return s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('foodflow/signing', 7))"); err != nil {
			return fmt.Errorf("locking signing keys: %w", err)
		}
		_, err := tx.Exec(ctx, `INSERT INTO signing_keys (kid, public_key, private_key, signs_from, trusted_until)
			SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT FROM signing_keys WHERE signs_from > $6)`,
			k.KID, k.Public, k.Private, k.SignsFrom, k.TrustedUntil, after)
		if err != nil {
			return fmt.Errorf("storing signing key: %w", err)
		}
		return nil
	})
}
