package masterdata

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestLogInsEndWithTheChange: a password, a role or a user that changes and the end
// of the log-ins from before are one transaction: where these can't be ended, the
// user stays as it was.
func TestLogInsEndWithTheChange(t *testing.T) {
	f := newFixture(t)
	who := f.tenant("acme")
	shared := func(sql string) {
		t.Helper()
		if err := f.db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, sql)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	shared(`CREATE FUNCTION foodflow.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no log-in ends now'; END $$;
		CREATE TRIGGER no BEFORE UPDATE ON foodflow.token_families FOR EACH ROW EXECUTE FUNCTION foodflow.no();
		ALTER TABLE foodflow.token_families DISABLE TRIGGER no`)
	users := f.Users()
	set := func(change func(*User)) func(id string) error {
		return func(id string) error {
			_, err := users.Update(t.Context(), who, id, AnyVersion, func(u *User) error { change(u); return nil })
			return err
		}
	}
	for n, c := range []struct {
		name string
		do   func(id string) error
		ends bool
	}{
		{"password", set(func(u *User) { u.Hash = "y" }), true},
		{"role", set(func(u *User) { u.Role = RoleViewer }), true},
		{"deactivated", set(func(u *User) { u.Active = false }), true},
		{"deleted", func(id string) error { return users.Delete(t.Context(), who, id, AnyVersion) }, true},
		{"another name", set(func(u *User) { u.Name = "x" }), false},
	} {
		u := &User{UserFields: UserFields{Email: string(rune('a'+n)) + "@acme.example", Name: "n", Role: RoleManager, Active: true}, Hash: "x"}
		if err := users.Create(t.Context(), who, u); err != nil {
			t.Fatal(err)
		}
		token := bytes.Repeat([]byte{byte(n)}, 32)
		if _, err := f.BeginLogin(t.Context(), who.Tenant, u.ID, token, time.Hour); err != nil {
			t.Fatal(err)
		}
		// A repetition within the grace is no use of the token.
		lives := func() bool {
			t.Helper()
			chain := [][]byte{token, bytes.Repeat([]byte{byte(n), 1}, 16)}
			_, out, _, err := f.Rotate(t.Context(), func(n int) []byte { return chain[n] }, time.Hour, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return out != TokenRefused
		}
		if !lives() {
			t.Fatalf("%s: the log-in is not there", c.name)
		}
		shared("ALTER TABLE foodflow.token_families ENABLE TRIGGER no")
		err := c.do(u.ID.String())
		shared("ALTER TABLE foodflow.token_families DISABLE TRIGGER no")
		if (err != nil) != c.ends {
			t.Errorf("%s, where no log-in can be ended: %v", c.name, err)
		}
		if c.ends {
			if now, err := users.Get(t.Context(), who.Tenant, u.ID.String()); err != nil || now.Version != 1 || now.Hash != "x" {
				t.Errorf("%s: the user has changed without the log-ins: %+v, %v", c.name, now, err)
			}
			if err := c.do(u.ID.String()); err != nil {
				t.Fatal(err)
			}
		}
		if lives() == c.ends {
			t.Errorf("%s: the log-in lives on: %v", c.name, !c.ends)
		}
	}
}
