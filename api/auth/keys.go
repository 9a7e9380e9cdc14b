package auth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

// refreshKeys is how often the keys are read again; a new key is published
// longer than that before it signs, so no process meets a kid it doesn't know.
const refreshKeys = 30 * time.Second

// KeyStore keeps signing keys; masterdata.Store is one.
type KeyStore interface {
	SigningKeys(ctx context.Context) ([]masterdata.SigningKey, error)
	AddSigningKey(ctx context.Context, k masterdata.SigningKey, after time.Time) error
}

// signer is a key in memory.
type signer struct {
	kid     string
	public  ed25519.PublicKey
	private ed25519.PrivateKey // nil when another secret sealed it
	from    time.Time
	until   time.Time
}

// Keys is the ring of signing keys.
type Keys struct {
	cfg   Config
	store KeyStore
	log   *slog.Logger
	now   func() time.Time
	ring  atomic.Pointer[[]signer] // sorted by from
	seal  cipher.AEAD
}

// NewKeys makes an empty ring; Load fills it.
func NewKeys(cfg Config, store KeyStore, log *slog.Logger, now func() time.Time) (*Keys, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(cfg.Secret)
	if err != nil {
		return nil, fmt.Errorf("preparing key seal: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("preparing key seal: %w", err)
	}
	k := &Keys{cfg: cfg, store: store, log: log, now: now, seal: gcm}
	k.ring.Store(&[]signer{})
	return k, nil
}

// Run reads the keys again and again until the context ends, so that every
// process knows a key before it signs.
func (k *Keys) Run(ctx context.Context) error {
	t := time.NewTicker(refreshKeys)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := k.Load(ctx); err != nil && ctx.Err() == nil {
			k.log.WarnContext(ctx, "signing keys not read", "error", err)
		}
	}
}

// Load reads the keys. Where none signs it adds one that signs at once: the
// first of an installation, or Rotate has not been called for longer than a key
// is trusted.
func (k *Keys) Load(ctx context.Context) error {
	if err := k.read(ctx); err != nil || k.current() != nil {
		return err
	}
	return k.add(ctx, k.now(), time.Time{})
}

// Rotate adds the next key when the newest is about to have signed long enough,
// and reports whether it did. It is the work of a periodic job; of many calls at
// once one adds.
func (k *Keys) Rotate(ctx context.Context) (added bool, err error) {
	if err := k.Load(ctx); err != nil {
		return false, err
	}
	now, ring := k.now(), *k.ring.Load()
	if len(ring) == 0 {
		return false, nil
	}
	newest := ring[len(ring)-1].from
	if now.Before(newest.Add(k.cfg.Rotate - k.cfg.Publish)) {
		return false, nil
	}
	return true, k.add(ctx, now.Add(k.cfg.Publish), newest)
}

// add stores a key that signs from a time on, unless one that signs after newest
// is there.
func (k *Keys) add(ctx context.Context, from, newest time.Time) error {
	next, err := k.make(from)
	if err != nil {
		return err
	}
	if err := k.store.AddSigningKey(ctx, next, newest); err != nil {
		return err
	}
	return k.read(ctx)
}

func (k *Keys) make(from time.Time) (masterdata.SigningKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return masterdata.SigningKey{}, fmt.Errorf("making signing key: %w", err)
	}
	kid := plant.NewID().String()
	nonce := make([]byte, k.seal.NonceSize())
	_, _ = rand.Read(nonce) // never fails; the runtime ends the process instead
	return masterdata.SigningKey{
		KID: kid, Public: public,
		// The kid is authenticated with the key, so keys can't be swapped.
		Private:   k.seal.Seal(nonce, nonce, private.Seed(), []byte(kid)),
		SignsFrom: from,
		// The last token signed with it expires Access after its successor
		// begins; a day more for clocks.
		TrustedUntil: from.Add(k.cfg.Rotate + k.cfg.Access + 24*time.Hour),
	}, nil
}

func (k *Keys) read(ctx context.Context) error {
	stored, err := k.store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	ring := make([]signer, 0, len(stored))
	for _, s := range stored {
		if len(s.Public) != ed25519.PublicKeySize {
			return fmt.Errorf("reading signing key %s: not an Ed25519 key", s.KID)
		}
		x := signer{kid: s.KID, public: s.Public, from: s.SignsFrom, until: s.TrustedUntil}
		seed, err := k.open(s)
		if err != nil {
			k.log.WarnContext(ctx, "signing key sealed under another secret", "kid", s.KID)
			continue
		}
		x.private = ed25519.NewKeyFromSeed(seed)
		ring = append(ring, x)
	}
	k.ring.Store(&ring)
	return nil
}

var errSealed = errors.New("sealed under another secret")

func (k *Keys) open(s masterdata.SigningKey) ([]byte, error) {
	n := k.seal.NonceSize()
	if len(s.Private) < n {
		return nil, errSealed
	}
	seed, err := k.seal.Open(nil, s.Private[:n], s.Private[n:], []byte(s.KID))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, errSealed
	}
	return seed, nil
}

// current is the newest key that signs now.
func (k *Keys) current() *signer {
	ring, now := *k.ring.Load(), k.now()
	for i := len(ring) - 1; i >= 0; i-- {
		if !ring[i].from.After(now) && ring[i].until.After(now) {
			return &ring[i]
		}
	}
	return nil
}

// trusted finds a key that may verify, by kid.
func (k *Keys) trusted(kid string) *signer {
	ring, now := *k.ring.Load(), k.now()
	for i := range ring {
		if ring[i].kid == kid && ring[i].until.After(now) {
			return &ring[i]
		}
	}
	return nil
}

// JWK is one public key of the set.
type JWK struct {
	KTY string `json:"kty"`
	CRV string `json:"crv"`
	KID string `json:"kid"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	X   string `json:"x"`
}

// JWKS gives the public keys, those that will sign soon among them (RFC 7517,
// RFC 8037).
func (k *Keys) JWKS() []JWK {
	out := []JWK{}
	for _, s := range *k.ring.Load() {
		out = append(out, JWK{"OKP", "Ed25519", s.kid, "sig", "EdDSA", base64.RawURLEncoding.EncodeToString(s.public)})
	}
	return out
}
