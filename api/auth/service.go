package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/password"
	"github.com/foodflow/foodflow/internal/plant"
)

// Service logs people in and tells who a request speaks for.
type Service struct {
	cfg    Config
	keys   *Keys
	store  *masterdata.Store
	dir    *directory.Store
	hasher *password.Hasher
	log    *slog.Logger
	now    func() time.Time

	accounts *throttle
	sources  *throttle
}

// New makes a service; it starts nothing.
func New(cfg Config, keys *Keys, store *masterdata.Store, dir *directory.Store, h *password.Hasher, log *slog.Logger, now func() time.Time) *Service {
	return &Service{
		cfg: cfg, keys: keys, store: store, dir: dir, hasher: h, log: log, now: now,
		accounts: newThrottle(cfg.Failures, cfg.Window),
		// A source is an address that many may share behind a gateway.
		sources: newThrottle(cfg.Failures*5, cfg.Window),
	}
}

// Tokens is the answer to a log-in or a refresh.
type Tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int    `json:"expires_in" doc:"seconds until the access token ends" example:"1800"`
	TokenType    string `json:"token_type" example:"Bearer"`
}

// Login checks e-mail address and password. source is the client's address.
func (s *Service) Login(ctx context.Context, email, clear, source string) (*Tokens, error) {
	wrong := unauthenticated("e-mail address or password is wrong", nil)
	account := strings.ToLower(strings.TrimSpace(email))
	if len(account) > 254 {
		return nil, wrong
	}
	leave, err := s.enter(account, source)
	if err != nil {
		return nil, err
	}
	failed := false
	defer func() { leave(failed) }()
	tenant, u, err := s.store.Login(ctx, account)
	if fault.KindOf(err) == fault.NotFound {
		if err := s.hasher.Waste(ctx, clear); err != nil {
			return nil, err
		}
		failed = true
		return nil, wrong
	}
	if err != nil {
		return nil, err
	}
	ok, err := s.hasher.Verify(ctx, u.Hash, clear)
	if err != nil {
		return nil, err
	}
	if !ok {
		// Nothing more is done here than for an unknown address, so that the
		// time of the answer tells nothing.
		failed = true
		return nil, wrong
	}
	s.accounts.clear(account)
	if err := s.known(ctx, tenant); err != nil {
		return nil, err
	}
	return s.begin(ctx, tenant, u)
}

// knownWithin is how long a log-in waits for its tenant to be known here: longer
// than a change takes to reach the directory.
const knownWithin = 2 * time.Second

// known waits until the directory has a tenant, which has just been made: a token
// that is handed out before would be refused.
func (s *Service) known(ctx context.Context, tenant plant.ID) error {
	ctx, cancel := context.WithTimeout(ctx, knownWithin)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if _, ok := s.dir.Tenant(tenant); ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.NewUnavailable(time.Second, ctx.Err(), "the tenant is not known to this process yet")
		case <-look.C:
		}
	}
}

// enter counts a try on an account from a source, or refuses it.
func (s *Service) enter(account, source string) (leave func(failed bool), err error) {
	refuse := func(wait time.Duration) error {
		return &fault.Error{Kind: fault.RateLimited, Detail: "too many wrong log-ins", RetryAfter: wait}
	}
	if wait := s.accounts.enter(account, s.now()); wait > 0 {
		return nil, refuse(wait)
	}
	if wait := s.sources.enter(source, s.now()); wait > 0 {
		s.accounts.leave(account, s.now(), false)
		return nil, refuse(wait)
	}
	return func(failed bool) {
		s.accounts.leave(account, s.now(), failed)
		s.sources.leave(source, s.now(), failed)
	}, nil
}

func (s *Service) begin(ctx context.Context, tenant plant.ID, u *masterdata.User) (*Tokens, error) {
	raw := make([]byte, sha256.Size)
	_, _ = rand.Read(raw) // never fails; the runtime ends the process instead
	refresh := text(raw)
	l, err := s.store.BeginLogin(ctx, tenant, u.ID, hash(refresh), s.cfg.Refresh)
	if err != nil {
		return nil, err
	}
	if err := s.store.LoggedIn(ctx, masterdata.Actor{Tenant: tenant, Name: "user:" + u.ID.String()}, u.ID, u.Version); err != nil {
		return nil, errors.Join(err, s.store.EndLogin(ctx, hash(refresh)))
	}
	return s.tokens(l, u, refresh)
}

func (s *Service) tokens(l masterdata.Login, u *masterdata.User, refresh string) (*Tokens, error) {
	access, err := s.keys.sign(l, u)
	if err != nil {
		return nil, err
	}
	return &Tokens{AccessToken: access, RefreshToken: refresh, ExpiresIn: int(s.cfg.Access.Seconds()), TokenType: "Bearer"}, nil
}

// refreshPrefix lets scanners of leaked secrets know the token.
const refreshPrefix = "ffr_"

func text(raw []byte) string { return refreshPrefix + base64.RawURLEncoding.EncodeToString(raw) }

func hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// successor derives the token that follows another. Only who has the
// installation's secret can; and all who refresh the same token get the same.
func (s *Service) successor(token string) string {
	m := hmac.New(sha256.New, s.cfg.Secret)
	m.Write([]byte("foodflow refresh token\x00" + token))
	return text(m.Sum(nil))
}

// Refresh spends a refresh token for a new pair.
func (s *Service) Refresh(ctx context.Context, token string) (*Tokens, error) {
	ended := unauthenticated("the refresh token is not valid", nil)
	if len(token) > 128 || !strings.HasPrefix(token, refreshPrefix) {
		return nil, ended
	}
	chain := []string{token}
	l, out, next, err := s.store.Rotate(ctx, func(n int) []byte {
		for len(chain) <= n {
			chain = append(chain, s.successor(chain[len(chain)-1]))
		}
		return hash(chain[n])
	}, s.cfg.Grace, s.cfg.Refresh)
	if err != nil {
		return nil, err
	}
	switch out {
	case masterdata.TokenRefused:
		return nil, ended
	case masterdata.TokenReused:
		who := masterdata.Actor{Tenant: l.Tenant, Name: "user:" + l.User.String()}
		if err := s.store.Audit(ctx, who, "RefreshTokenReused", "user/"+l.User.String(), map[string]any{"login": l.Family}); err != nil {
			return nil, err
		}
		s.log.WarnContext(ctx, "refresh token reused, log-in ended", "tenant", l.Tenant, "user", l.User)
		return nil, ended
	case masterdata.TokenRotated, masterdata.TokenRepeated:
	}
	if t, ok := s.dir.Tenant(l.Tenant); !ok || t.Suspended {
		return nil, ended
	}
	u, err := s.store.Users().Get(ctx, l.Tenant, l.User.String())
	if fault.KindOf(err) == fault.NotFound || err == nil && !u.Active {
		return nil, ended
	}
	if err != nil {
		return nil, err
	}
	return s.tokens(l, u, chain[next])
}

// Logout ends the log-in that a refresh token belongs to. One that is unknown
// is no error: the caller is logged out either way.
func (s *Service) Logout(ctx context.Context, token string) error {
	if len(token) > 128 {
		return nil
	}
	return s.store.EndLogin(ctx, hash(token))
}

// JWKS gives the public signing keys.
func (s *Service) JWKS() []JWK { return s.keys.JWKS() }

// Authenticate says who a request speaks for, from its Authorization or
// X-API-Key header.
func (s *Service) Authenticate(r *http.Request) (Principal, error) {
	if key := r.Header.Get("X-API-Key"); key != "" {
		return s.byKey(key)
	}
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return Principal{}, unauthenticated("a bearer token or an API key is required", nil)
	}
	if strings.HasPrefix(token, "ff_") {
		return s.byKey(token)
	}
	p, err := s.keys.verify(token)
	if err != nil {
		return Principal{}, err
	}
	if err := s.stands(p); err != nil {
		return Principal{}, badToken(err)
	}
	return p, nil
}

// stands holds a token that is right in itself against what the directory knows:
// the tenant is there, the user is as it was, the log-in was not ended.
func (s *Service) stands(p Principal) error {
	t, ok := s.dir.Tenant(p.Tenant)
	switch {
	case !ok:
		return errNoTenant
	case t.Suspended:
		return directory.ErrTenantSuspended
	case s.dir.Revoked(p.Tenant, p.Subject, p.version), s.dir.Revoked(p.Tenant, p.Family, 0):
		return errRevoked
	}
	return nil
}

var (
	errNoTenant = errors.New("there is no such tenant")
	errRevoked  = errors.New("the access token is revoked")
)

func (s *Service) byKey(key string) (Principal, error) {
	p, err := s.dir.Authenticate(key, s.now())
	if err != nil {
		return Principal{}, unauthenticated("the API key is not valid", err)
	}
	out := Principal{Tenant: p.Tenant, Subject: p.KeyID, Key: true}
	for _, scope := range p.Scopes {
		if role := roleOf(scope); role != "" {
			out.Roles = append(out.Roles, role)
		}
	}
	return out, nil
}

// roleOf is what a scope lets a key act as. No scope makes an admin: a key can't
// make users or keys.
func roleOf(scope string) string {
	switch scope {
	case directory.ScopeIngest:
		return masterdata.RoleIngest
	case directory.ScopeRead:
		return masterdata.RoleViewer
	case directory.ScopeManage:
		return masterdata.RoleManager
	}
	return ""
}

// HashPassword checks and hashes a new password.
func (s *Service) HashPassword(ctx context.Context, clear string) (string, error) {
	h, err := s.hasher.Hash(ctx, clear)
	if err != nil {
		return "", fmt.Errorf("hashing password: %w", err)
	}
	return h, nil
}
