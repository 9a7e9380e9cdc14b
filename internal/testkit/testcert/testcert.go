// Package testcert makes authorities and certificates for tests.
package testcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is an authority that lives as long as a test.
type CA struct {
	// Dir holds ca.pem and what was issued.
	Dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes an authority; its certificate is Dir/ca.pem.
func NewCA(t testing.TB) *CA {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key))(t)
	ca := &CA{Dir: t.TempDir(), cert: must(x509.ParseCertificate(der))(t), key: key}
	if err := os.Chmod(ca.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writePEM(t, ca.File(), "CERTIFICATE", der, 0o644)
	return ca
}

// File is the authority's certificate.
func (ca *CA) File() string { return filepath.Join(ca.Dir, "ca.pem") }

// Issue makes a certificate for name (beside localhost and 127.0.0.1) that ends
// when said, and writes it with its key as PKCS #8. Again for the same name it
// replaces both files.
func (ca *CA) Issue(t testing.TB, name string, ends time.Time) (cert, key string) {
	t.Helper()
	k := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: ends,
		DNSNames: []string{name, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der := must(x509.CreateCertificate(rand.Reader, tmpl, ca.cert, &k.PublicKey, ca.key))(t)
	cert, key = filepath.Join(ca.Dir, name+".pem"), filepath.Join(ca.Dir, name+"-key.pem")
	writePEM(t, cert, "CERTIFICATE", der, 0o644)
	writePEM(t, key, "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(k))(t), 0o600)
	return cert, key
}

func writePEM(t testing.TB, path, kind string, der []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
