package postgres

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/foodflow/foodflow/internal/tlsconf"
)

// Secure makes a connection demand TLS, if files for it are given.
func Secure(c *pgx.ConnConfig, files tlsconf.Client) error {
	if !files.Enabled() {
		return nil
	}
	t, err := files.Config()
	if err != nil {
		return fmt.Errorf("opening postgres: %w", err)
	}
	named := func(host string) *tls.Config {
		own := t.Clone()
		own.ServerName = cmp.Or(own.ServerName, host)
		return own
	}
	c.TLSConfig = named(c.Host)
	// Each host of the URL once, with TLS; sslmode=prefer adds tries without.
	var hosts []*pgconn.FallbackConfig
	seen := map[string]bool{net.JoinHostPort(c.Host, fmt.Sprint(c.Port)): true}
	for _, f := range c.Fallbacks {
		if at := net.JoinHostPort(f.Host, fmt.Sprint(f.Port)); !seen[at] {
			seen[at] = true
			hosts = append(hosts, &pgconn.FallbackConfig{Host: f.Host, Port: f.Port, TLSConfig: named(f.Host)})
		}
	}
	c.Fallbacks = hosts
	return nil
}
