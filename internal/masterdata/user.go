package masterdata

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// The roles, each able to do what the ones after it can, but for ingest, which
// only sends.
const (
	RoleAdmin    = "admin"
	RoleManager  = "manager"
	RoleOperator = "operator"
	RoleViewer   = "viewer"
	RoleIngest   = "ingest"
)

// Roles lists them.
func Roles() []string {
	return []string{RoleAdmin, RoleManager, RoleOperator, RoleViewer, RoleIngest}
}

// KindUser is what events call a user.
const KindUser = "user"

// User is a person, or a program that logs in like one.
type User struct {
	Meta
	UserFields
	LastLoginAt *time.Time `json:"last_login_at"`
	// Hash is the password's argon2id form. It leaves Postgres for the
	// log-in only, never in an answer or an event.
	Hash string `json:"-"`
}

// UserFields is what an admin says of a user.
type UserFields struct {
	Email  string `json:"email" format:"email" maxLength:"254" doc:"unique in the installation; can't be changed" example:"ana@acme.example"`
	Name   string `json:"name" minLength:"1" maxLength:"200" example:"Ana Ruiz"`
	Role   string `json:"role" enum:"admin,manager,operator,viewer,ingest" example:"operator"`
	Active bool   `json:"active,omitempty" doc:"may log in"`
}

// Users gives the operations on users.
func (s *Store) Users() Users { return Users{set[User]{s, userResource(), []string{"role"}}} }

// Users is the operations on users.
type Users struct{ set[User] }

func userResource() *resource[User] {
	return &resource[User]{
		table: "users", aggregate: KindUser, noun: "User",
		columns: []string{"email", "name", "role", "active", "last_login_at", "password_hash"},
		meta:    func(u *User) *Meta { return &u.Meta },
		bind:    func(u *User) []any { return []any{&u.Email, &u.Name, &u.Role, &u.Active, &u.LastLoginAt, &u.Hash} },
		check:   checkUser,
	}
}

func checkUser(u *User) *rules {
	u.Email = strings.ToLower(strings.TrimSpace(u.Email))
	var r rules
	if a, err := mail.ParseAddress(u.Email); err != nil || a.Address != u.Email || len(u.Email) > 254 {
		r.add("email", "email", "must be an e-mail address")
	}
	r.text("name", u.Name, 1, 200)
	r.oneOf("role", u.Role, Roles())
	return &r
}

// Create adds a user and the entry by which a log-in finds the tenant.
func (x Users) Create(ctx context.Context, who Actor, u *User) error {
	return x.s.write(ctx, who, func(ctx context.Context, w *writing) error { return x.create(ctx, w, u) })
}

func (x Users) create(ctx context.Context, w *writing, u *User) error {
	if err := x.r.create(ctx, w, u); err != nil {
		return err
	}
	// Another tenant's address is taken too, and saying so tells no more than
	// a mail to it would.
	tag, err := w.tx.Exec(ctx, "INSERT INTO foodflow.logins (email, tenant_id, user_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", u.Email, w.who.Tenant, u.ID)
	if err != nil {
		return fmt.Errorf("entering log-in: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return errEmailTaken()
	}
	return nil
}

func errEmailTaken() error { return fault.New(fault.Conflict, "another user already has this email") }

// Update changes a user. The last active admin stays one. A change of role, password
// or activity ends the user's log-ins with it: access tokens from before are refused,
// refresh tokens give no new ones.
func (x Users) Update(ctx context.Context, who Actor, id string, expected int64, change func(*User) error) (u *User, err error) {
	err = x.s.write(ctx, who, func(ctx context.Context, w *writing) error {
		var before User
		u, err = x.r.update(ctx, w, id, expected, "", func(u *User) error {
			before = *u
			if err := change(u); err != nil {
				return err
			}
			if u.Email != before.Email {
				return fault.NewInvalid(fault.Item{Location: "email", Rule: "immutable", Message: "can't be changed"})
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := w.endAccess(ctx, &before, u); err != nil {
			return err
		}
		return adminLeft(ctx, w)
	})
	return u, err
}

// endAccess takes from a user what the state before gave and the one after doesn't.
func (w *writing) endAccess(ctx context.Context, before, after *User) error {
	reason := "deactivated"
	switch {
	case after.Hash != before.Hash:
		reason = "password"
	case after.Role == before.Role && after.Active == before.Active:
		return nil
	}
	if err := w.revoke(ctx, after.ID, after.Version); err != nil {
		return err
	}
	return w.endLogins(ctx, after.ID, reason)
}

// Delete removes a user and the log-in.
func (x Users) Delete(ctx context.Context, who Actor, id string, expected int64) error {
	return x.s.write(ctx, who, func(ctx context.Context, w *writing) error {
		u, err := x.r.get(ctx, w.tx, id, "")
		if err != nil {
			return err
		}
		if err := x.r.remove(ctx, w, id, expected); err != nil {
			return err
		}
		if _, err := w.tx.Exec(ctx, "DELETE FROM foodflow.logins WHERE user_id = $1", u.ID); err != nil {
			return fmt.Errorf("removing log-in: %w", err)
		}
		if err := w.revoke(ctx, u.ID, 0); err != nil {
			return err
		}
		if err := w.endLogins(ctx, u.ID, "deactivated"); err != nil {
			return err
		}
		return adminLeft(ctx, w)
	})
}

// adminLeft refuses a change that leaves the tenant without an active admin.
func adminLeft(ctx context.Context, w *writing) error {
	var n int
	if err := w.tx.QueryRow(ctx, "SELECT count(*) FROM users WHERE role = 'admin' AND active").Scan(&n); err != nil {
		return fmt.Errorf("counting admins: %w", err)
	}
	if n == 0 {
		return fault.New(fault.Conflict, "the tenant would be left without an active admin")
	}
	return nil
}

// Login finds the user of an e-mail address and its tenant. Both a missing
// address and a suspended tenant are NotFound: a log-in must not tell them apart,
// and an address that isn't there costs as many round trips as one that is.
func (s *Store) Login(ctx context.Context, email string) (tenant plant.ID, u *User, err error) {
	email = strings.ToLower(strings.TrimSpace(email))
	none := fault.New(fault.NotFound, "there is no such log-in")
	find := func(query string, into ...any) func(context.Context, pgx.Tx) error {
		return func(ctx context.Context, tx pgx.Tx) error {
			err := tx.QueryRow(ctx, query, email).Scan(into...)
			if errors.Is(err, pgx.ErrNoRows) {
				return none
			}
			return err
		}
	}
	err = s.db.InShared(ctx, find("SELECT l.tenant_id FROM logins l JOIN tenants t ON t.id = l.tenant_id WHERE l.email = $1 AND t.state = 'active'", &tenant))
	if errors.Is(err, none) {
		var nobody string
		return plant.ID{}, nil, s.db.InShared(ctx, find("SELECT email FROM logins WHERE email = $1 AND false", &nobody))
	}
	if err != nil {
		return plant.ID{}, nil, err
	}
	r := userResource()
	u = new(User)
	err = s.read(ctx, tenant, find(r.selectSQL()+" WHERE email = $1 AND active", r.targets(u)...))
	return tenant, u, err
}

// LoggedIn notes when a user last logged in; it is no change of the user. A user
// who has changed since the password was looked at is Unavailable: it may have been
// the password, and who comes in by the old one must not stay.
func (s *Store) LoggedIn(ctx context.Context, who Actor, id plant.ID, version int64) error {
	return s.write(ctx, who, func(ctx context.Context, w *writing) error {
		tag, err := w.tx.Exec(ctx, "UPDATE users SET last_login_at = $2 WHERE id = $1 AND version = $3", id, w.now, version)
		if err != nil {
			return fmt.Errorf("noting log-in: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return fault.NewUnavailable(time.Second, nil, "the user has just changed")
		}
		return w.audit(ctx, audited{"UserLoggedIn", "user/" + id.String(), map[string]any{}})
	})
}
