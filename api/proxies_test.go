package api

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

// TestForwardedClients: a client is told by what proxies of ours wrote, and by
// nothing that it wrote itself.
func TestForwardedClients(t *testing.T) {
	s := &Server{cfg: Config{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	for _, tc := range []struct {
		name, from string
		headers    []string
		want       string
	}{
		{"no proxy", "192.0.2.7:5", nil, "192.0.2.7"},
		{"a stranger says he is another", "192.0.2.7:5", []string{"198.51.100.1"}, "192.0.2.7"},
		{"one proxy", "10.1.1.1:5", []string{"198.51.100.1"}, "198.51.100.1"},
		{"one proxy without the header", "10.1.1.1:5", nil, "10.1.1.1"},
		{"two proxies", "10.1.1.1:5", []string{"198.51.100.1, 10.2.2.2"}, "198.51.100.1"},
		{"two headers", "10.1.1.1:5", []string{"198.51.100.1", "10.2.2.2"}, "198.51.100.1"},
		{"a client that says he is another", "10.1.1.1:5", []string{"203.0.113.9, 198.51.100.1"}, "198.51.100.1"},
		{"a client that says he is a proxy", "10.1.1.1:5", []string{"10.9.9.9, 198.51.100.1"}, "198.51.100.1"},
		{"a client within", "10.1.1.1:5", []string{"10.7.7.7"}, "10.7.7.7"},
		{"rubbish", "10.1.1.1:5", []string{"unknown"}, "10.1.1.1"},
		{"rubbish before a proxy", "10.1.1.1:5", []string{"unknown, 10.2.2.2"}, "10.2.2.2"},
		{"version 6", "[fd00::1]:5", []string{"2001:db8::5"}, "2001:db8::5"},
		{"version 4 in 6", "[::ffff:10.1.1.1]:5", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
	} {
		got := ""
		h := s.forwarded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = address(r) }))
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tc.from
		r.Header["X-Forwarded-For"] = tc.headers
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	got := ""
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.1.1.1:5"
	r.Header.Set("X-Forwarded-For", "198.51.100.1")
	(&Server{}).forwarded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = address(r) })).ServeHTTP(httptest.NewRecorder(), r)
	if got != "10.1.1.1" {
		t.Errorf("without proxies of ours the header is believed: %q", got)
	}
}
