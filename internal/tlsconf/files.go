package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// lookEvery is how long what was read is trusted before the files are looked at
// again.
const lookEvery = time.Second

// watched is something made of files, made anew when one of them changes.
type watched[T any] struct {
	paths []string
	read  func() (T, error)
	// told learns what became of a change: nil, or why the old one stays.
	told func(error)
	now  func() time.Time

	mu     sync.Mutex // guards what follows
	value  T
	looked time.Time
	seen   []os.FileInfo
}

// watch reads for the first time; then an error is returned.
func watch[T any](read func() (T, error), told func(error), paths ...string) (*watched[T], error) {
	w := &watched[T]{read: read, told: told, now: time.Now}
	for _, p := range paths {
		if p != "" {
			w.paths = append(w.paths, p)
		}
	}
	seen, err := w.stat()
	if err != nil {
		return nil, err
	}
	w.seen, w.looked = seen, w.now()
	if w.value, err = read(); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *watched[T]) stat() ([]os.FileInfo, error) {
	out := make([]os.FileInfo, len(w.paths))
	for i, p := range w.paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("looking at %s: %w", p, err)
		}
		out[i] = info
	}
	return out, nil
}

// get gives the newest that is whole.
func (w *watched[T]) get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.now(); now.Sub(w.looked) >= lookEvery {
		w.looked = now
		w.look()
	}
	return w.value
}

// look is called with the lock held.
func (w *watched[T]) look() {
	seen, err := w.stat()
	if err == nil && same(seen, w.seen) {
		return
	}
	var v T
	if err == nil {
		v, err = w.read()
	}
	if err == nil {
		w.value, w.seen = v, seen
	}
	w.told(err)
}

func same(a, b []os.FileInfo) bool {
	for i := range a {
		if !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()) {
			return false
		}
	}
	return true
}

// readPair reads a certificate with its key.
func readPair(cert, key string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("reading certificate %s and key %s: %w", cert, key, err)
	}
	return &pair, nil
}

// readPool reads authorities.
func readPool(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading authorities: %s holds no certificate", path)
	}
	return pool, nil
}

var errHalf = errors.New("certificate and key belong together; one of them is missing")
