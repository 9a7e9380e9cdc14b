package tlsconf

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

// Server is what a listener shows and wants to see. The zero value is plain
// text.
type Server struct {
	// Cert and Key are PEM files; Cert may hold intermediates behind the leaf.
	Cert string
	Key  string
	// ClientCA, when set, is a PEM file of authorities: a client must show a
	// certificate of one of them.
	ClientCA string
	// Optional lets clients without a certificate in too.
	Optional bool
}

// Enabled says whether the listener speaks TLS.
func (s Server) Enabled() bool { return s.Cert != "" || s.Key != "" || s.ClientCA != "" }

// Validate names every fault at once, each behind the listener's section of the
// configuration. It reads the files.
func (s Server) Validate(section string) error {
	if !s.Enabled() {
		return nil
	}
	var errs []error
	if s.Cert == "" || s.Key == "" {
		errs = append(errs, fmt.Errorf("%s.cert, %s.key: %w", section, section, errHalf))
	} else if _, err := readPair(s.Cert, s.Key); err != nil {
		errs = append(errs, fmt.Errorf("%s.cert: %w", section, err))
	}
	if s.ClientCA != "" {
		if _, err := readPool(s.ClientCA); err != nil {
			errs = append(errs, fmt.Errorf("%s.client_ca: %w", section, err))
		}
	}
	return errors.Join(errs...)
}

// Metrics are the figures of the listeners of a process.
type Metrics struct {
	reloads  *prometheus.CounterVec
	notAfter *prometheus.GaugeVec
}

// NewMetrics makes and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		reloads:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_tlsconf_reloads_total", Help: "Changes of certificate files seen, taken or not."}, []string{"listener", "outcome"}),
		notAfter: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "foodflow_tlsconf_not_after_timestamp_seconds", Help: "When the certificate that a listener shows ends."}, []string{"listener"}),
	}
	if reg != nil {
		reg.MustRegister(m.reloads, m.notAfter)
	}
	return m
}

// Config gives the TLS of a listener, nil for plain text. protocols are offered
// in order (ALPN); none offers nothing.
func (s Server) Config(listener string, m *Metrics, log *slog.Logger, protocols ...string) (*tls.Config, error) {
	if !s.Enabled() {
		return nil, nil
	}
	if err := s.Validate(listener + ".tls"); err != nil {
		return nil, err
	}
	for _, outcome := range []string{"taken", "refused"} {
		m.reloads.WithLabelValues(listener, outcome)
	}
	read := func() (*tls.Config, error) {
		pair, err := readPair(s.Cert, s.Key)
		if err != nil {
			return nil, err
		}
		c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*pair}, NextProtos: protocols}
		if s.ClientCA != "" {
			if c.ClientCAs, err = readPool(s.ClientCA); err != nil {
				return nil, err
			}
			// Without tickets each connection shows its certificate anew, so an
			// authority that is taken away is gone at once.
			c.ClientAuth, c.SessionTicketsDisabled = tls.RequireAndVerifyClientCert, true
			if s.Optional {
				c.ClientAuth = tls.VerifyClientCertIfGiven
			}
		}
		m.notAfter.WithLabelValues(listener).Set(float64(pair.Leaf.NotAfter.Unix()))
		return c, nil
	}
	told := func(err error) {
		if err != nil {
			m.reloads.WithLabelValues(listener, "refused").Inc()
			log.Warn("changed certificate files are not taken; the old certificate stays", "listener", listener, "error", err)
			return
		}
		m.reloads.WithLabelValues(listener, "taken").Inc()
		log.Info("certificate files were changed and taken", "listener", listener)
	}
	w, err := watch(read, told, s.Cert, s.Key, s.ClientCA)
	if err != nil {
		return nil, err
	}
	outer := w.get().Clone()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return w.get(), nil }
	return outer, nil
}
