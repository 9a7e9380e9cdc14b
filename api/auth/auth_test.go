package auth

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/password"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

const (
	email = "ana@acme.example"
	clear = "a right password"
)

// world is a log-in service on a real Postgres with a clock of its own.
type world struct {
	*Service
	t     testing.TB
	keys  *Keys
	db    *postgres.DB
	store *masterdata.Store
	clock atomic.Int64 // Unix milliseconds
	cfg   Config
}

func (w *world) time() time.Time      { return time.UnixMilli(w.clock.Load()) }
func (w *world) pass(d time.Duration) { w.clock.Add(d.Milliseconds()) }
func discard() *slog.Logger           { return slog.New(slog.DiscardHandler) }
func secretOf(b byte) []byte          { return bytes.Repeat([]byte{b}, secretBytes) }
func refused(err error) bool          { return fault.KindOf(err) == fault.Unauthenticated }
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, cfg: DefaultConfig()}
	w.clock.Store(time.Now().UnixMilli())
	pc := postgres.DefaultConfig()
	pc.URL, pc.Acquire = testkit.Postgres(t), time.Minute // many come at once, on a machine that does other things
	mc := migrate.DefaultConfig()
	mc.URL = pc.URL
	m, err := migrate.New(mc, discard())
	must(t, err)
	must(t, m.Shared(t.Context()))
	w.db, err = postgres.Open(context.Background(), pc)
	must(t, err)
	t.Cleanup(w.db.Close)
	w.store = masterdata.New(w.db, w.time)
	h := password.New(4, 10*time.Minute) // nobody is sent away for the wait
	hash, err := h.Hash(t.Context(), clear)
	must(t, err)
	_, err = w.store.Provision(t.Context(), m, masterdata.NewTenant{Key: "acme", Name: "Acme", Admin: masterdata.User{UserFields: masterdata.UserFields{Email: email, Name: "Ana"}, Hash: hash}})
	must(t, err)
	w.cfg.Secret = secretOf(1)
	w.keys, err = NewKeys(w.cfg, w.store, discard(), w.time)
	must(t, err)
	must(t, w.keys.Load(t.Context()))
	w.Service = New(w.cfg, w.keys, w.store, directory.NewStore(), h, discard(), w.time)
	w.sync()
	return w
}

func (w *world) login() *Tokens {
	w.t.Helper()
	tokens, err := w.Login(w.t.Context(), email, clear, "10.0.0.1")
	must(w.t, err)
	return tokens
}

func (w *world) accepts(token string) bool {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	_, err := w.Authenticate(r)
	if err != nil && !refused(err) {
		w.t.Errorf("refused as %v", err)
	}
	return err == nil
}

// TestOnlyOurTokens is promise S5.
func TestOnlyOurTokens(t *testing.T) {
	w := newWorld(t)
	good := w.login().AccessToken
	if !w.accepts(good) {
		t.Fatal("a good token is refused")
	}
	acme, _ := w.dir.TenantByKey("acme")
	s := w.keys.current()
	_, foreign, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	parts := strings.Split(good, ".")
	// make builds a token that is right but for what change does to it.
	make := func(method jwt.SigningMethod, key any, change func(header map[string]any, c *claims)) string {
		now := w.time()
		c := claims{
			RegisteredClaims: jwt.RegisteredClaims{Issuer: w.cfg.Issuer, Audience: jwt.ClaimStrings{w.cfg.Audience}, Subject: plant.NewID().String(), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(time.Minute))},
			Tenant:           acme.ID.String(), Role: "admin", Family: plant.NewID().String(),
		}
		tok := jwt.NewWithClaims(method, &c)
		tok.Header["kid"], tok.Header["typ"] = s.kid, tokenType
		if change != nil {
			change(tok.Header, &c)
		}
		text, err := tok.SignedString(key)
		must(t, err)
		return text
	}
	eddsa := jwt.SigningMethodEdDSA
	if !w.accepts(make(eddsa, s.private, nil)) {
		t.Fatal("the builder's unchanged token is refused, so the cases prove nothing")
	}
	cases := map[string]string{
		"none":              make(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil),
		"hs256 over public": make(jwt.SigningMethodHS256, []byte(s.public), nil),
		"rs256":             make(jwt.SigningMethodRS256, rsaKey, nil),
		"foreign key":       make(eddsa, foreign, nil),
		"unknown kid":       make(eddsa, s.private, func(h map[string]any, _ *claims) { h["kid"] = "../../dev/null" }),
		"kid missing":       make(eddsa, s.private, func(h map[string]any, _ *claims) { delete(h, "kid") }),
		"kid a number":      make(eddsa, s.private, func(h map[string]any, _ *claims) { h["kid"] = 7 }),
		"embedded jwk":      make(eddsa, foreign, func(h map[string]any, _ *claims) { h["jwk"] = map[string]any{"kty": "OKP"} }),
		"wrong typ":         make(eddsa, s.private, func(h map[string]any, _ *claims) { h["typ"] = "JWT" }),
		"wrong issuer":      make(eddsa, s.private, func(_ map[string]any, c *claims) { c.Issuer = "other" }),
		"wrong audience":    make(eddsa, s.private, func(_ map[string]any, c *claims) { c.Audience = jwt.ClaimStrings{"other"} }),
		"two audiences":     make(eddsa, s.private, func(_ map[string]any, c *claims) { c.Audience = append(c.Audience, "other") }),
		"expired":           make(eddsa, s.private, func(_ map[string]any, c *claims) { c.ExpiresAt = jwt.NewNumericDate(w.time().Add(-time.Hour)) }),
		"no expiry":         make(eddsa, s.private, func(_ map[string]any, c *claims) { c.ExpiresAt = nil }),
		"from the future":   make(eddsa, s.private, func(_ map[string]any, c *claims) { c.IssuedAt = jwt.NewNumericDate(w.time().Add(time.Hour)) }),
		"tenant no id":      make(eddsa, s.private, func(_ map[string]any, c *claims) { c.Tenant = "acme" }),
		"no signature":      parts[0] + "." + parts[1] + ".",
		"changed body":      parts[0] + "." + parts[1][:20] + "A" + parts[1][21:] + "." + parts[2],
		"padded signature":  good + "=",
		"million dots":      strings.Repeat(".", 1_000_000),
		"million bytes":     parts[0] + "." + strings.Repeat("A", 1_000_000) + "." + parts[2],
		"refresh as access": w.login().RefreshToken,
		"empty":             "",
	}
	maps.Copy(cases, w.rawForgeries(make(eddsa, s.private, nil), s.private))
	accepted := 0
	for name, token := range cases {
		start := time.Now()
		if w.accepts(token) {
			accepted++
			t.Errorf("%s: accepted", name)
		}
		// Milliseconds are usual; what grows with the square of a token's length
		// takes minutes.
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
	t.Logf("forged tokens %d, accepted %d", len(cases), accepted)
	w.pass(w.cfg.Access + time.Minute)
	if w.accepts(good) {
		t.Error("accepted past its life")
	}
}

// TestRefreshRotates is promise S6: parallel refreshes mint nothing twice and
// log nobody out, and a replay ends the log-in.
func TestRefreshRotates(t *testing.T) {
	w := newWorld(t)
	first := w.login().RefreshToken
	var wg sync.WaitGroup
	var mu sync.Mutex
	next, out := map[string]int{}, 0
	for range 20 {
		wg.Go(func() {
			tokens, err := w.Refresh(t.Context(), first)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				out++
				return
			}
			next[tokens.RefreshToken]++
		})
	}
	wg.Wait()
	t.Logf("double mints %d, false log-outs %d", len(next)-1, out)
	if len(next) != 1 || out != 0 {
		t.Fatalf("20 at once got %d different tokens, %d were refused", len(next), out)
	}
	var second string
	for second = range next {
	}
	// Five tabs go on, each a little later, with what they have.
	for range 5 {
		w.pass(time.Second)
		tokens, err := w.Refresh(t.Context(), second)
		must(t, err)
		if tokens.RefreshToken == second {
			t.Fatal("the token doesn't rotate")
		}
	}
	third, err := w.Refresh(t.Context(), second)
	must(t, err)
	w.pass(w.cfg.Grace + time.Second)
	if _, err := w.Refresh(t.Context(), first); !refused(err) {
		t.Errorf("replay past the grace: %v", err)
	}
	if _, err := w.Refresh(t.Context(), third.RefreshToken); !refused(err) {
		t.Errorf("the log-in lives on after a replay: %v", err)
	}
	// Another log-in of the same user is none of it.
	if _, err := w.Refresh(t.Context(), w.login().RefreshToken); err != nil {
		t.Error(err)
	}
}

func TestRefreshEnds(t *testing.T) {
	w := newWorld(t)
	for name, end := range map[string]func(token string){
		"log-out": func(token string) { must(t, w.Logout(t.Context(), token)) },
		"life":    func(string) { w.pass(w.cfg.Refresh + time.Second) },
		"password": func(string) {
			tenant, u, err := w.store.Login(t.Context(), email)
			must(t, err)
			w.newHash(tenant, u.ID, u.Hash+" ")
			w.newHash(tenant, u.ID, u.Hash)
		},
	} {
		token := w.login().RefreshToken
		end(token)
		if _, err := w.Refresh(t.Context(), token); !refused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, token := range []string{"", "ffr_", "ffr_unknown", strings.Repeat("x", 1000), "ff_x"} {
		if _, err := w.Refresh(t.Context(), token); !refused(err) {
			t.Errorf("%q: %v", token, err)
		}
	}
}

// TestRotationRefusesNobody walks the clock through several keys: every token
// is accepted for its whole life, by a second process too, which reads the keys
// as rarely as allowed.
func TestRotationRefusesNobody(t *testing.T) {
	w := newWorld(t)
	w.cfg.Rotate, w.cfg.Publish = 2*time.Hour, 10*time.Minute
	a, err := NewKeys(w.cfg, w.store, discard(), w.time)
	must(t, err)
	b, err := NewKeys(w.cfg, w.store, discard(), w.time)
	must(t, err)
	type minted struct {
		token string
		until time.Time
	}
	var live []minted
	kids := map[string]bool{}
	rotated := 0
	for range 60 {
		added, err := a.Rotate(t.Context())
		must(t, err)
		if added {
			rotated++
		}
		for _, m := range live {
			if _, err := b.verify(m.token); err != nil && w.time().Before(m.until) {
				t.Fatalf("false refusal: %v", err)
			}
		}
		token, err := a.sign(masterdata.Login{Family: plant.NewID(), Tenant: plant.NewID(), User: plant.NewID()}, &masterdata.User{UserFields: masterdata.UserFields{Role: "viewer"}})
		must(t, err)
		kids[a.current().kid] = true
		live = append(live, minted{token, w.time().Add(w.cfg.Access)})
		w.pass(5 * time.Minute)
		must(t, b.Load(t.Context())) // five minutes late: within Publish
	}
	// The first key comes with the first Load; five hours of two each need two more.
	if rotated < 2 || rotated > 3 {
		t.Errorf("rotated %d times in five hours of two each", rotated)
	}
	if len(kids) < 3 {
		t.Errorf("only %d keys signed, so nothing rotated", len(kids))
	}
	// The control: without the time of publishing, the other process refuses.
	must(t, a.add(t.Context(), w.time(), w.time().Add(-time.Second)))
	token, err := a.sign(masterdata.Login{Family: plant.NewID(), Tenant: plant.NewID(), User: plant.NewID()}, &masterdata.User{UserFields: masterdata.UserFields{Role: "viewer"}})
	must(t, err)
	if _, err := b.verify(token); !refused(err) {
		t.Errorf("a key that signs at once is known elsewhere: %v, so the test proves nothing", err)
	}
	if n := len(a.JWKS()); n < 2 || a.JWKS()[0].CRV != "Ed25519" {
		t.Errorf("%d keys published", n)
	}
}

func TestKeysSealedUnderAnotherSecret(t *testing.T) {
	w := newWorld(t)
	token := w.login().AccessToken
	cfg := w.cfg
	cfg.Secret = secretOf(2)
	k, err := NewKeys(cfg, w.store, discard(), w.time)
	must(t, err)
	must(t, k.Load(t.Context()))
	if _, err := k.verify(token); !refused(err) {
		t.Errorf("a token of another secret: %v", err)
	}
	stored, err := w.store.SigningKeys(t.Context())
	must(t, err)
	for _, s := range stored {
		seed := w.keys.current().private.Seed()
		if bytes.Contains(s.Private, seed) {
			t.Error("the private key lies open in Postgres")
		}
	}
}

func TestLoginThrottle(t *testing.T) {
	w := newWorld(t)
	wrong := func(source string) error {
		_, err := w.Login(t.Context(), email, "wrong", source)
		return err
	}
	for i := range w.cfg.Failures {
		if err := wrong("10.0.0.9"); !refused(err) {
			t.Fatalf("failure %d: %v", i, err)
		}
	}
	_, err := w.Login(t.Context(), strings.ToUpper(email), clear, "10.0.0.10")
	if fault.KindOf(err) != fault.RateLimited {
		t.Errorf("the right password after too many wrong ones: %v", err)
	}
	w.pass(2*w.cfg.Window + time.Second)
	if _, err := w.Login(t.Context(), email, clear, "10.0.0.10"); err != nil {
		t.Errorf("after the window: %v", err)
	}
}

// TestUnknownUserLooksTheSame compares answers and the order of their times. A
// machine that does other things makes some tries longer and none shorter, so the
// shortest of each kind count, and are looked for until they agree: what one kind
// leaves out, no number of tries makes up for.
func TestUnknownUserLooksTheSame(t *testing.T) {
	w := newWorld(t)
	const round, rounds = 4, 40 // round: fewer than an account or a source may fail
	best := map[string]time.Duration{email: time.Hour, "nobody@acme.example": time.Hour}
	text := map[string]string{}
	apart := func() bool {
		known, unknown := best[email], best["nobody@acme.example"]
		return known-unknown > known/2 || unknown-known > known/2
	}
	tries := 0
	for n := 0; n == 0 || n < rounds && apart(); n++ {
		for range round {
			tries++
			for who := range best {
				start := time.Now()
				_, err := w.Login(t.Context(), who, "wrong", "10.0.0.1")
				best[who], text[who] = min(best[who], time.Since(start)), err.Error()
			}
		}
		w.pass(2*w.cfg.Window + time.Second)
	}
	t.Logf("best of %d: %v", tries, best)
	if text[email] != text["nobody@acme.example"] {
		t.Errorf("%q", text)
	}
	if apart() {
		t.Errorf("times %v tell them apart", best)
	}
}

// TestUpkeep: a key that is shown counts as used, and what has ended is purged.
func TestUpkeep(t *testing.T) {
	w := newWorld(t)
	tenant, u, err := w.store.Login(t.Context(), email)
	must(t, err)
	k, key, err := w.store.APIKeys().Create(t.Context(), masterdata.System(tenant), masterdata.APIKeyFields{Name: "k", Scopes: []string{"read"}})
	must(t, err)
	must(t, directorytest.Enter(w.dir, directory.Tenant{ID: tenant, Key: "acme"}, directory.APIKey{ID: k.ID, Tenant: tenant, Public: k.Public, Hash: key.Hash(), Scopes: k.Scopes}))
	if _, err := w.byKey(key.Reveal()); err != nil {
		t.Fatal(err)
	}
	if used := w.dir.TakeUses(); len(used) != 1 || used[k.ID].At != w.clock.Load() {
		t.Errorf("uses noted: %v", used)
	}
	token := w.login().RefreshToken
	w.newHash(tenant, u.ID, u.Hash+" ")
	w.pass(25 * time.Hour)
	must(t, w.store.Purge(t.Context()))
	if _, out, _, err := w.store.Rotate(t.Context(), func(int) []byte { return hash(token) }, 0, time.Hour); err != nil || out != masterdata.TokenRefused {
		t.Errorf("after the purge: %v %v", out, err)
	}
}

func TestScopesActAsRoles(t *testing.T) {
	w := newWorld(t)
	clearKey := directory.NewKey()
	tenant := plant.NewID()
	must(t, directorytest.Enter(w.dir,
		directory.Tenant{ID: tenant, Key: "t"},
		directory.APIKey{ID: plant.NewID(), Tenant: tenant, Public: clearKey.Public, Hash: clearKey.Hash(), Scopes: directory.Scopes()},
	))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-API-Key", clearKey.Reveal())
	p, err := w.Authenticate(r)
	must(t, err)
	if got := strings.Join(p.Roles, " "); got != "ingest viewer manager" || !p.Key || p.Tenant != tenant {
		t.Errorf("principal %+v", p)
	}
}

// FuzzVerify feeds tokens that are almost ours.
func FuzzVerify(f *testing.F) {
	cfg := DefaultConfig()
	cfg.Secret = secretOf(1)
	k, err := NewKeys(cfg, nil, discard(), time.Now)
	must(f, err)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(f, err)
	k.ring.Store(&[]signer{{kid: "k", public: public, private: private, from: time.Unix(0, 0), until: time.Now().Add(time.Hour)}})
	good, err := k.sign(masterdata.Login{Family: plant.NewID(), Tenant: plant.NewID(), User: plant.NewID()}, &masterdata.User{UserFields: masterdata.UserFields{Role: "admin"}})
	must(f, err)
	if _, err := k.verify(good); err != nil {
		f.Fatal(err)
	}
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"k","typ":"at+jwt"}`))
	m := hmac.New(sha256.New, public)
	f.Add(good)
	f.Add(header + "." + strings.Split(good, ".")[1] + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil)))
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := k.verify(token); err == nil && token != good {
			t.Fatalf("accepted %q", token)
		}
	})
}

func TestTokenHoldsNoSecret(t *testing.T) {
	w := newWorld(t)
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(w.login().AccessToken, ".")[1])
	must(t, err)
	var c map[string]any
	must(t, json.Unmarshal(body, &c))
	for name := range c {
		if !strings.Contains(" iss aud sub jti iat nbf exp tid role fam ver ", " "+name+" ") {
			t.Errorf("claim %s", name)
		}
	}
}
