package registry

import (
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/foodflow/foodflow/internal/tlsconf"
	"github.com/foodflow/foodflow/schemas"
)

// TestCredentials: user and password or token reach the registry, over TLS; a
// wrong one is an error that may pass, since a record must not be set aside
// because a password was changed.
func TestCredentials(t *testing.T) {
	reg := srfake.NewRegistry()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, basic := r.BasicAuth()
		if (!basic || user != "ff" || password != "secret") && r.Header.Get("Authorization") != "Bearer token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		reg.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	trusted := tlsconf.Client{CA: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(trusted.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*Config)
		ok     bool
	}{
		"password":       {func(c *Config) { c.User, c.Password = "ff", "secret" }, true},
		"token":          {func(c *Config) { c.Token = "token" }, true},
		"wrong password": {func(c *Config) { c.User, c.Password = "ff", "wrong" }, false},
		"nothing":        {func(*Config) {}, false},
		"not trusted":    {func(c *Config) { c.Token, c.TLS = "token", tlsconf.Client{} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.URL, cfg.TLS, cfg.Attempts, cfg.Timeout = server.URL, trusted, 1, time.Minute
			tc.change(&cfg)
			c, err := New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.Register(t.Context(), "s", `"long"`)
			if (err == nil) != tc.ok || err != nil && !errors.Is(err, schemas.ErrRegistry) {
				t.Errorf("got %v, want ok %v", err, tc.ok)
			}
		})
	}
}
