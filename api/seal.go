package api

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/foodflow/foodflow/internal/masterdata"
)

// sealer keeps what Postgres holds of requests and answers from who reads the
// database: it is of no use without the installation's secret.
type sealer struct {
	hash []byte
	aead cipher.AEAD
}

func newSealer(secret []byte) (*sealer, error) {
	keys, err := hkdf.Key(sha256.New, secret, nil, "foodflow idempotent answers", 64)
	if err != nil {
		return nil, fmt.Errorf("deriving keys: %w", err)
	}
	block, err := aes.NewCipher(keys[32:])
	if err != nil {
		return nil, fmt.Errorf("making cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("making cipher: %w", err)
	}
	return &sealer{keys[:32], aead}, nil
}

// sum is a hash of a request that only we can make, so that a password in it
// can't be guessed from it.
func (s *sealer) sum(uri string, body []byte) []byte {
	m := hmac.New(sha256.New, s.hash)
	m.Write([]byte(uri + "\x00"))
	m.Write(body)
	return m.Sum(nil)
}

// bound ties an answer to its slot: sealed for one, it opens for no other.
func bound(o masterdata.Once) []byte {
	return []byte(o.Tenant.String() + "\x00" + o.Scope + "\x00" + o.Key)
}

func (s *sealer) seal(o masterdata.Once, body []byte) []byte {
	nonce := make([]byte, s.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails; the runtime ends the process instead
	return s.aead.Seal(nonce, nonce, body, bound(o))
}

func (s *sealer) open(o masterdata.Once, sealed []byte) ([]byte, error) {
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("opening a stored answer: it is too short")
	}
	body, err := s.aead.Open(nil, sealed[:n], sealed[n:], bound(o))
	if err != nil {
		return nil, fmt.Errorf("opening a stored answer: %w", err)
	}
	return body, nil
}
