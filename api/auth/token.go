package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

const (
	// tokenType is RFC 9068's: it keeps any other kind of JWT of ours from
	// passing for an access token.
	tokenType = "at+jwt"
	// maxToken bounds what is parsed at all; ours have about 400 bytes.
	maxToken = 4096
	leeway   = 30 * time.Second
)

// Principal is who a request speaks for.
type Principal struct {
	Tenant plant.ID
	// Subject is the user's or the key's id.
	Subject plant.ID
	// Family is the log-in, zero for keys.
	Family plant.ID
	// Roles is what the subject may act as: one for a user, one a scope for a
	// key.
	Roles []string
	Key   bool

	version int64 // of the user that the token was made for
}

// Actor is the principal as events and audit rows name it.
func (p Principal) Actor() masterdata.Actor {
	kind := "user:"
	if p.Key {
		kind = "key:"
	}
	return masterdata.Actor{Tenant: p.Tenant, Name: kind + p.Subject.String()}
}

// claims is the body of an access token.
type claims struct {
	jwt.RegisteredClaims
	Tenant string `json:"tid"`
	Role   string `json:"role"`
	Family string `json:"fam"`
	// Version is the user's when the token was made.
	Version int64 `json:"ver"`
}

// sign makes an access token.
func (k *Keys) sign(l masterdata.Login, u *masterdata.User) (string, error) {
	s := k.current()
	if s == nil {
		return "", fault.NewUnavailable(5*time.Second, nil, "no signing key is in force yet")
	}
	now := k.now()
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: k.cfg.Issuer, Audience: jwt.ClaimStrings{k.cfg.Audience}, Subject: l.User.String(), ID: plant.NewID().String(),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(k.cfg.Access)),
		},
		Tenant: l.Tenant.String(), Role: u.Role, Family: l.Family.String(), Version: u.Version,
	})
	t.Header["kid"], t.Header["typ"] = s.kid, tokenType
	text, err := t.SignedString(s.private)
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	return text, nil
}

var errToken = errors.New("not an access token of ours")

// verify reads an access token. Every refusal is the same to the outside.
func (k *Keys) verify(text string) (Principal, error) {
	refuse := func(cause error) (Principal, error) {
		return Principal{}, badToken(cause)
	}
	// Two dots, a bound, and that there is no end of a line, which Go's decoder
	// would pass over, are checked before anything is split or decoded.
	if len(text) > maxToken || strings.Count(text, ".") != 2 || strings.ContainsAny(text, "\r\n") {
		return refuse(errToken)
	}
	var c claims
	t, err := jwt.ParseWithClaims(text, &c, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		s := k.trusted(kid)
		if s == nil {
			return nil, errToken
		}
		return s.public, nil
	}, jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(k.cfg.Issuer), jwt.WithAudience(k.cfg.Audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(k.now), jwt.WithStrictDecoding())
	if err != nil {
		return refuse(err)
	}
	// RFC 7515, section 4.1.11: what is marked as critical and not understood is
	// refused, and nothing is understood here.
	_, critical := t.Header["crit"]
	if typ, _ := t.Header["typ"].(string); typ != tokenType || critical || len(c.Audience) != 1 || !slices.Contains(masterdata.Roles(), c.Role) {
		return refuse(errToken)
	}
	var p Principal
	for _, f := range []struct {
		id   *plant.ID
		text string
	}{{&p.Tenant, c.Tenant}, {&p.Subject, c.Subject}, {&p.Family, c.Family}} {
		id, err := plant.ParseID(f.text)
		if err != nil {
			return refuse(err)
		}
		*f.id = id
	}
	p.Roles, p.version = []string{c.Role}, c.Version
	return p, nil
}
