package directory

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// The scopes a key can have.
const (
	ScopeIngest = "ingest" // send readings and line events
	ScopeRead   = "read"   // read what the tenant has
	ScopeManage = "manage" // change master data
)

// Scopes lists them.
func Scopes() []string { return []string{ScopeIngest, ScopeRead, ScopeManage} }

// ErrKeyMalformed means that a text is no API key at all.
var ErrKeyMalformed = errors.New("not an api key")

const (
	keyPrefix    = "ff_"
	publicChars  = 16 // 80 random bits: found by index, not secret
	secretChars  = 52 // 256 random bits
	keyChars     = len(keyPrefix) + publicChars + 1 + secretChars
	base32Lower  = "abcdefghijklmnopqrstuvwxyz234567"
	bitsPerGlyph = 5
)

// Key is an API key in the clear: ff_<public>_<secret>, lower-case base32, so
// that one double click selects all of it.
type Key struct {
	Public string
	secret string
}

// NewKey makes a random key.
func NewKey() Key {
	return Key{Public: randomText(publicChars), secret: randomText(secretChars)}
}

// ParseKey reads a key's text form.
func ParseKey(s string) (Key, error) {
	if len(s) != keyChars || !strings.HasPrefix(s, keyPrefix) || s[len(keyPrefix)+publicChars] != '_' {
		return Key{}, ErrKeyMalformed
	}
	k := Key{Public: s[len(keyPrefix) : len(keyPrefix)+publicChars], secret: s[len(keyPrefix)+publicChars+1:]}
	if !isBase32(k.Public) || !isBase32(k.secret) {
		return Key{}, ErrKeyMalformed
	}
	return k, nil
}

// Reveal gives the text form, secret and all. Only who made the key should.
func (k Key) Reveal() string { return keyPrefix + k.Public + "_" + k.secret }

// String hides the secret, so that a key printed by accident tells nothing.
func (k Key) String() string { return keyPrefix + k.Public + "_***" }

// Hash is what is stored of the secret.
func (k Key) Hash() Digest {
	var b [secretChars]byte // on the stack: a conversion would allocate
	return sha256.Sum256(b[:copy(b[:], k.secret)])
}

// Digest is a SHA-256 sum, hexadecimal in JSON.
type Digest [sha256.Size]byte

// MarshalText gives 64 hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (d *Digest) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("reading digest: want %d digits, got %d", hex.EncodedLen(len(d)), len(b))
	}
	if _, err := hex.Decode(d[:], b); err != nil {
		return fmt.Errorf("reading digest: %w", err)
	}
	return nil
}

// randomText gives n random base32 glyphs. crypto/rand never fails on the
// platforms we run on: the runtime ends the process instead.
func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = base32Lower[b[i]&(1<<bitsPerGlyph-1)]
	}
	return string(b)
}

func isBase32(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}
