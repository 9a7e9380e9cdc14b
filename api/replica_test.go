package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Who only looks may be answered by a replica; who demands a version, or the
// newest, or changes something, may not.
func TestMayBeOld(t *testing.T) {
	for _, c := range []struct {
		method, header, value string
		want                  bool
	}{
		{http.MethodGet, "", "", true},
		{http.MethodGet, "If-None-Match", `"3"`, true},
		{http.MethodGet, "If-Match", `"3"`, false},
		{http.MethodGet, "Cache-Control", "max-age=0, no-cache", false},
		{http.MethodPost, "", "", false},
		{http.MethodPatch, "", "", false},
		{http.MethodDelete, "", "", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, "/x", http.NoBody)
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		if got := mayBeOld(r); got != c.want {
			t.Errorf("%s %s %s: %v", c.method, c.header, c.value, got)
		}
	}
}
