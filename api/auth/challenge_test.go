package auth

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/foodflow/foodflow/internal/fault"
)

// TestChallenges: a 401 names both ways in, and a token that doesn't hold as such
// (RFC 6750, section 3); who sends no token is told of no error in one.
func TestChallenges(t *testing.T) {
	w := newWorld(t)
	plain := []string{`Bearer realm="foodflow"`, `ApiKey realm="foodflow"`}
	bad := []string{`Bearer realm="foodflow", error="invalid_token", error_description="the access token is not valid"`, plain[1]}
	expired := w.login().AccessToken
	w.pass(w.cfg.Access * 2)
	for name, c := range map[string]struct {
		header, value string
		want          []string
	}{
		"nothing":              {"Accept", "*/*", plain},
		"another scheme":       {"Authorization", "Basic YTpi", plain},
		"a wrong key":          {"X-API-Key", "ff_a_b", plain},
		"a wrong key as token": {"Authorization", "Bearer ff_a_b", plain},
		"no token of ours":     {"Authorization", "Bearer x", bad},
		"an expired token":     {"Authorization", "Bearer " + expired, bad},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set(c.header, c.value)
		_, err := w.Authenticate(r)
		answer := httptest.NewRecorder()
		fault.Problem(answer, err)
		if got := answer.Result().Header.Values("WWW-Authenticate"); answer.Code != http.StatusUnauthorized || !slices.Equal(got, c.want) {
			t.Errorf("%s: %d %q", name, answer.Code, got)
		}
	}
}
