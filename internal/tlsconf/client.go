package tlsconf

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// Client is what a client of a store trusts and shows. The zero value trusts
// the system's authorities and shows nothing.
type Client struct {
	// CA is a PEM file of the authorities that the server is checked against;
	// "" means the system's.
	CA string
	// Cert and Key are PEM files of the client's own certificate.
	Cert string
	Key  string
	// ServerName is the name that the server's certificate must hold, where it
	// isn't the name it is reached by.
	ServerName string
}

// Enabled says whether anything is set.
func (c Client) Enabled() bool { return c != Client{} }

// Validate names every fault at once, behind the store's section of the
// configuration. It reads the files.
func (c Client) Validate(section string) error {
	var errs []error
	if c.CA != "" {
		if _, err := readPool(c.CA); err != nil {
			errs = append(errs, fmt.Errorf("%s.ca: %w", section, err))
		}
	}
	if (c.Cert == "") != (c.Key == "") {
		errs = append(errs, fmt.Errorf("%s.cert, %s.key: %w", section, section, errHalf))
	} else if c.Cert != "" {
		if _, err := readPair(c.Cert, c.Key); err != nil {
			errs = append(errs, fmt.Errorf("%s.cert: %w", section, err))
		}
	}
	return errors.Join(errs...)
}

// Config gives the TLS of a client.
func (c Client) Config() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "" {
		pool, err := readPool(c.CA)
		if err != nil {
			return nil, err
		}
		out.RootCAs = pool
	}
	if c.Cert != "" || c.Key != "" {
		if c.Cert == "" || c.Key == "" {
			return nil, errHalf
		}
		read := func() (*tls.Certificate, error) { return readPair(c.Cert, c.Key) }
		// A pair that can't be read leaves the old one; the server says so when
		// it has ended.
		w, err := watch(read, func(error) {}, c.Cert, c.Key)
		if err != nil {
			return nil, err
		}
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return w.get(), nil }
	}
	return out, nil
}
