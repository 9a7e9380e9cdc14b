package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foodflow/foodflow/internal/testkit/testcert"
)

// listen serves handshakes until the test ends.
func listen(t *testing.T, s Server, m *Metrics) string {
	t.Helper()
	cfg, err := s.Config("test", m, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if c.(*tls.Conn).HandshakeContext(t.Context()) == nil {
					_, _ = c.Write([]byte("x"))
				}
			}()
		}
	}()
	return l.Addr().String()
}

// shake connects, reads the byte behind the handshake, and gives the
// certificate that was shown.
func shake(t *testing.T, addr string, c Client, change ...func(*tls.Config)) (*x509.Certificate, error) {
	t.Helper()
	cfg, err := c.Config()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(cfg)
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", addr, cfg)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return nil, err
	}
	return conn.ConnectionState().PeerCertificates[0], nil
}

var tomorrow = time.Now().Add(20 * time.Hour)

func TestHandshakes(t *testing.T) {
	ca, other := testcert.NewCA(t), testcert.NewCA(t)
	cert, key := ca.Issue(t, "server", tomorrow)
	mine, mineKey := ca.Issue(t, "client", tomorrow)
	theirs, theirsKey := other.Issue(t, "client", tomorrow)
	m := NewMetrics(nil)
	plain := listen(t, Server{Cert: cert, Key: key}, m)
	wants := listen(t, Server{Cert: cert, Key: key, ClientCA: ca.File()}, m)
	takes := listen(t, Server{Cert: cert, Key: key, ClientCA: ca.File(), Optional: true}, m)
	old := func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 } //nolint:gosec // refused is what is asked
	for name, c := range map[string]struct {
		addr   string
		client Client
		change []func(*tls.Config)
		ok     bool
	}{
		"trusted":                       {plain, Client{CA: ca.File()}, nil, true},
		"by another name":               {plain, Client{CA: ca.File(), ServerName: "server"}, nil, true},
		"a name it does not have":       {plain, Client{CA: ca.File(), ServerName: "db.example"}, nil, false},
		"another authority":             {plain, Client{CA: other.File()}, nil, false},
		"the system's authorities":      {plain, Client{}, nil, false},
		"TLS 1.1":                       {plain, Client{CA: ca.File()}, []func(*tls.Config){old}, false},
		"wanted, none":                  {wants, Client{CA: ca.File()}, nil, false},
		"wanted, shown":                 {wants, Client{CA: ca.File(), Cert: mine, Key: mineKey}, nil, true},
		"wanted, of another authority":  {wants, Client{CA: ca.File(), Cert: theirs, Key: theirsKey}, nil, false},
		"optional, none":                {takes, Client{CA: ca.File()}, nil, true},
		"optional, of another":          {takes, Client{CA: ca.File(), Cert: theirs, Key: theirsKey}, nil, false},
		"optional, of the right origin": {takes, Client{CA: ca.File(), Cert: mine, Key: mineKey}, nil, true},
	} {
		if _, err := shake(t, c.addr, c.client, c.change...); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A certificate that is replaced is shown without a restart; half a pair is not
// taken; an authority that is replaced lets its old clients in no more.
func TestRenewal(t *testing.T) {
	ca, other := testcert.NewCA(t), testcert.NewCA(t)
	cert, key := ca.Issue(t, "server", tomorrow)
	mine, mineKey := ca.Issue(t, "client", tomorrow)
	clients := filepath.Join(t.TempDir(), "clients.pem")
	put := func(from, to string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(ca.File(), clients)
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	addr := listen(t, Server{Cert: cert, Key: key, ClientCA: clients}, m)
	client := Client{CA: ca.File(), Cert: mine, Key: mineKey}
	first, err := shake(t, addr, client)
	if err != nil {
		t.Fatal(err)
	}
	keep, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	ca.Issue(t, "server", tomorrow.Add(time.Hour))
	fresh, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, keep, 0o600); err != nil { // the new certificate is there, its key not yet
		t.Fatal(err)
	}
	until(t, func() bool {
		got, err := shake(t, addr, client)
		if err != nil || !got.Equal(first) {
			t.Fatalf("half a pair: %v", err)
		}
		return testutil.ToFloat64(m.reloads.WithLabelValues("test", "refused")) > 0
	})
	if err := os.WriteFile(key, fresh, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool {
		got, err := shake(t, addr, client)
		if err != nil {
			t.Fatal(err)
		}
		return !got.Equal(first) && testutil.ToFloat64(m.notAfter.WithLabelValues("test")) == float64(got.NotAfter.Unix())
	})
	put(other.File(), clients)
	until(t, func() bool { _, err := shake(t, addr, client); return err != nil })
	// The client's own certificate is renewed in its place too.
	cfg, err := Client{CA: ca.File(), Cert: mine, Key: mineKey}.Config()
	if err != nil {
		t.Fatal(err)
	}
	before, err := cfg.GetClientCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	ca.Issue(t, "client", tomorrow)
	until(t, func() bool {
		now, err := cfg.GetClientCertificate(nil)
		return err == nil && !now.Leaf.Equal(before.Leaf)
	})
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("it does not come about")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestValidate(t *testing.T) {
	ca := testcert.NewCA(t)
	cert, key := ca.Issue(t, "a", tomorrow)
	_, otherKey := ca.Issue(t, "b", tomorrow)
	for want, err := range map[string]error{
		"http.tls.cert, http.tls.key: certificate and key belong": Server{Cert: cert}.Validate("http.tls"),
		"http.tls.cert: reading certificate":                      Server{Cert: cert, Key: otherKey}.Validate("http.tls"),
		"http.tls.client_ca: reading authorities":                 Server{Cert: cert, Key: key, ClientCA: key}.Validate("http.tls"),
		"kafka.tls.ca: reading authorities":                       Client{CA: "nowhere"}.Validate("kafka.tls"),
		"kafka.tls.cert, kafka.tls.key: certificate and key":      Client{Key: key}.Validate("kafka.tls"),
		"kafka.tls.cert: reading certificate":                     Client{Cert: cert, Key: otherKey}.Validate("kafka.tls"),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := errors.Join(Server{}.Validate("x"), Client{}.Validate("x"), Server{Cert: cert, Key: key}.Validate("x")); err != nil {
		t.Error(err)
	}
}
