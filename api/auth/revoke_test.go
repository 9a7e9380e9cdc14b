package auth

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// sync does the relay's and the follower's work.
func (w *world) sync() {
	w.t.Helper()
	must(w.t, w.db.InShared(w.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "WITH gone AS (DELETE FROM outbox RETURNING *) SELECT kind, tenant_id, subject_kind, subject_id, version, data::text FROM gone ORDER BY id")
		if err != nil {
			return err
		}
		var kind string
		var e schemas.DirectoryEntry
		_, err = pgx.ForEachRow(rows, []any{&kind, &e.Tenant, &e.Kind, &e.ID, &e.Version, &e.Data}, func() error {
			switch kind {
			case "tombstone":
				return w.dir.Remove(string(e.Key()))
			case "directory":
				return w.dir.Apply(&e)
			}
			return nil
		})
		return err
	}))
}

// person adds a user and logs in as it.
func (w *world) person(name string) (masterdata.Actor, *masterdata.User, *Tokens) {
	w.t.Helper()
	tenant, ana, err := w.store.Login(w.t.Context(), email)
	must(w.t, err)
	who := masterdata.System(tenant)
	u := &masterdata.User{UserFields: masterdata.UserFields{Email: name + "@acme.example", Name: name, Role: masterdata.RoleManager, Active: true}, Hash: ana.Hash}
	must(w.t, w.store.Users().Create(w.t.Context(), who, u))
	tokens, err := w.Login(w.t.Context(), u.Email, clear, "10.0.0.2")
	must(w.t, err)
	return who, u, tokens
}

// newHash sets a password, as its hash.
func (w *world) newHash(tenant, user plant.ID, hash string) {
	w.t.Helper()
	_, err := w.store.Users().Update(w.t.Context(), masterdata.System(tenant), user.String(), masterdata.AnyVersion, func(u *masterdata.User) error {
		u.Hash = hash
		return nil
	})
	must(w.t, err)
}

// TestAccessTokensEnd: an access token ends with what it stands on, before its
// time; the same user's next one is taken where there may be one.
func TestAccessTokensEnd(t *testing.T) {
	w := newWorld(t)
	bystander := w.login().AccessToken
	change := func(f func(*masterdata.User)) func(masterdata.Actor, *masterdata.User, *Tokens) {
		return func(who masterdata.Actor, u *masterdata.User, _ *Tokens) {
			_, err := w.store.Users().Update(t.Context(), who, u.ID.String(), masterdata.AnyVersion, func(u *masterdata.User) error { f(u); return nil })
			must(t, err)
		}
	}
	for name, c := range map[string]struct {
		do           func(who masterdata.Actor, u *masterdata.User, tokens *Tokens)
		holds, again bool
	}{
		"nothing happens": {func(masterdata.Actor, *masterdata.User, *Tokens) {}, true, true},
		"another name":    {change(func(u *masterdata.User) { u.Name = "x" }), true, true},
		"deleted": {func(who masterdata.Actor, u *masterdata.User, _ *Tokens) {
			must(t, w.store.Users().Delete(t.Context(), who, u.ID.String(), masterdata.AnyVersion))
		}, false, false},
		"deactivated":  {change(func(u *masterdata.User) { u.Active = false }), false, false},
		"demoted":      {change(func(u *masterdata.User) { u.Role = masterdata.RoleViewer }), false, true},
		"new password": {change(func(u *masterdata.User) { u.Hash += " " }), false, false},
		"logged out": {func(_ masterdata.Actor, _ *masterdata.User, tokens *Tokens) {
			must(t, w.Logout(t.Context(), tokens.RefreshToken))
		}, false, true},
		"replayed": {func(_ masterdata.Actor, _ *masterdata.User, tokens *Tokens) {
			_, err := w.Refresh(t.Context(), tokens.RefreshToken)
			must(t, err)
			w.pass(w.cfg.Grace + time.Second)
			if _, err := w.Refresh(t.Context(), tokens.RefreshToken); !refused(err) {
				t.Error(err)
			}
		}, false, true},
	} {
		who, u, tokens := w.person("p" + name[:3] + name[len(name)-2:])
		if !w.accepts(tokens.AccessToken) {
			t.Fatalf("%s: refused before", name)
		}
		c.do(who, u, tokens)
		w.sync()
		if w.accepts(tokens.AccessToken) != c.holds {
			t.Errorf("%s: accepted %v", name, !c.holds)
		}
		next, err := w.Login(t.Context(), u.Email, clear, "10.0.0.2")
		if (err == nil) != c.again || err == nil && !w.accepts(next.AccessToken) {
			t.Errorf("%s: after another log-in: %v", name, err)
		}
	}
	if !w.accepts(bystander) {
		t.Error("another user's token ended too")
	}
	w.db.Close()
	if !w.accepts(bystander) {
		t.Error("a token needs Postgres")
	}
}

// TestTokensEndWithTheirTenant: suspended, and gone from the directory.
func TestTokensEndWithTheirTenant(t *testing.T) {
	w := newWorld(t)
	token := w.login()
	suspend := func(f func(context.Context, string) (*masterdata.Tenant, error)) {
		_, err := f(t.Context(), "acme")
		must(t, err)
		w.sync()
	}
	suspend(w.store.Suspend)
	if w.accepts(token.AccessToken) {
		t.Error("accepted of a suspended tenant")
	}
	suspend(w.store.Resume)
	if !w.accepts(token.AccessToken) {
		t.Error("refused of a tenant that is back")
	}
	acme, _ := w.dir.TenantByKey("acme")
	must(t, w.dir.Remove("tenant/"+acme.ID.String()+"/"+acme.ID.String()))
	if w.accepts(token.AccessToken) {
		t.Error("accepted of a tenant that is gone")
	}
	if _, err := w.Refresh(t.Context(), token.RefreshToken); !refused(err) {
		t.Error(err)
	}
	if _, err := w.Login(t.Context(), email, clear, "10.0.0.1"); err == nil {
		t.Error("a token was handed out that is refused")
	}
}

// TestLoginThatMeetsANewPassword: who has shown the old password while the new
// one was being set does not come in.
func TestLoginThatMeetsANewPassword(t *testing.T) {
	w := newWorld(t)
	who, u, _ := w.person("eve")
	stale := *u
	_, err := w.store.Users().Update(t.Context(), who, u.ID.String(), masterdata.AnyVersion, func(u *masterdata.User) error { u.Hash += " "; return nil })
	must(t, err)
	tokens, err := w.begin(t.Context(), who.Tenant, &stale)
	if err == nil {
		t.Errorf("came in: %v", tokens)
	}
	must(t, w.db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		var open int
		err := tx.QueryRow(ctx, "SELECT count(*) FROM token_families WHERE user_id = $1 AND revoked_at IS NULL", u.ID).Scan(&open)
		if open != 0 { // the first one has ended with the password
			t.Errorf("%d log-ins are open", open)
		}
		return err
	}))
}

// TestRevocationsAreForgotten: an entry leaves the directory when no token can be
// left that it refuses, and not before.
func TestRevocationsAreForgotten(t *testing.T) {
	w := newWorld(t)
	who, u, tokens := w.person("eve")
	must(t, w.store.Users().Delete(t.Context(), who, u.ID.String(), masterdata.AnyVersion))
	w.pass(w.cfg.Access + leeway)
	must(t, w.store.Purge(t.Context()))
	w.sync()
	if !w.dir.Revoked(who.Tenant, u.ID, 1) || w.accepts(tokens.AccessToken) {
		t.Error("forgotten too early, or accepted")
	}
	w.pass(masterdata.RevocationKept)
	must(t, w.store.Purge(t.Context()))
	w.sync()
	if w.dir.Revoked(who.Tenant, u.ID, 1) || w.accepts(tokens.AccessToken) {
		t.Error("kept, or accepted")
	}
}
