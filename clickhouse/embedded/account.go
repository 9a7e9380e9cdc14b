package embedded

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
	"github.com/foodflow/foodflow/clickhouse/embedded/wire"
)

// account is a user and the connections its statements run on.
type account struct {
	name, password string
	limited        bool // an Analyst: reads, and no more
	pool           *pool
}

// authenticate finds the account of a request. Like a server it takes user and
// password from headers, basic authentication or the URL, and refuses a mix.
func (h *handler) authenticate(r *http.Request, q url.Values) (*account, error) {
	name, password := r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
	inHeaders := name != "" || password != ""
	inURL := q.Has("user") || q.Has("password")
	user, secret, basic := r.BasicAuth()
	switch {
	case inHeaders && basic, inURL && basic, inHeaders && inURL:
		return nil, denied("Invalid authentication: it is not allowed to use Authorization HTTP header, X-ClickHouse headers and parameters of the URL simultaneously")
	case basic:
		name, password = user, secret
	case inURL:
		name, password = q.Get("user"), q.Get("password")
	}
	if name == "" {
		name = "default"
	}
	for _, a := range h.accounts {
		if a.name != name {
			continue
		}
		// A user without a password takes any, as ClickHouse's no_password does:
		// the JDBC driver sends "null" where none is set.
		if a.password == "" && ownOrigin(r) || a.password != "" && subtle.ConstantTimeCompare([]byte(password), []byte(a.password)) == 1 {
			return a, nil
		}
	}
	return nil, denied("%s: Authentication failed: password is incorrect, or there is no user with such name", name)
}

func denied(format string, args ...any) error {
	return chdb.Raise(codeAuthentication, "AUTHENTICATION_FAILED", format, args...)
}

// ownOrigin says whether a request may pass without a password: a page of
// another site that a browser on this machine shows must not reach the engine.
func ownOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	_, host, _ := strings.Cut(origin, "://")
	return origin == "" || host == r.Host
}

// allows refuses what the roles and settings of the engine can't refuse to a
// limited account, because it is the engine's one user to them. c is one of the
// account's connections.
func (a *account) allows(c *conn, req *request) error {
	if !a.limited {
		return nil
	}
	if req.role != "" && req.role != a.name {
		return chdb.Raise(codeRole, "SET_NON_GRANTED_ROLE", "Role %s should be granted to set as current", req.role)
	}
	if _, there := req.settings["profile"]; there {
		return a.lacks("the setting profile")
	}
	text := req.stmt.Text
	if req.stmt.Kind == wire.Insert {
		text += "\nFORMAT " + req.stmt.Format
	}
	// As the engine reads it: names and blanks can be written in ways that only its
	// own parser knows.
	plain, _, err := c.Exec("SELECT formatQuerySingleLine("+quoteText(text)+")", "TSVRaw", nil)
	if err != nil {
		return unscoped(err)
	}
	st, err := wire.Parse(string(trimLine(plain)), false)
	if err != nil {
		return err
	}
	if what := st.Escapes(); what != "" {
		return a.lacks(what)
	}
	return nil
}

func (a *account) lacks(what string) error {
	return chdb.Raise(codeDenied, "ACCESS_DENIED", "%s: Not enough privileges: %s", a.name, what)
}

// unscoped takes out of an error where it came from: the client wrote no such
// thing.
func unscoped(err error) error {
	e := (*chdb.Exception)(nil)
	if !errors.As(err, &e) {
		return err
	}
	from, to := strings.Index(e.Text, ": In scope SELECT formatQuerySingleLine("), strings.LastIndex(e.Text, ". (")
	if from < 0 || to < from {
		return err
	}
	return &chdb.Exception{Code: e.Code, Text: e.Text[:from] + e.Text[to:]}
}
