package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/api/auth"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
)

func missing(what string) error { return fault.New(fault.NotFound, "there is no such %s", what) }

func authOp(method, path, id, summary string) huma.Operation {
	return huma.Operation{
		Method: method, Path: "/api/v1/auth/" + path, OperationID: id, Summary: summary, Tags: []string{"auth"},
		Errors: []int{http.StatusUnauthorized, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable},
	}
}

type tokensOut struct{ Body auth.Tokens }

// SourceIn learns the client's address, which the log-in throttle counts by.
type SourceIn struct{ source string }

// Resolve is called by huma before the handler.
func (s *SourceIn) Resolve(ctx huma.Context) []error {
	s.source = ctx.RemoteAddr()
	return nil
}

type loginIn struct {
	SourceIn
	Body struct {
		Email    string `json:"email" minLength:"1" maxLength:"254" example:"ana@acme.example"`
		Password string `json:"password" minLength:"1" maxLength:"256" format:"password" example:"correct horse battery staple"`
	}
}

type refreshIn struct {
	Body struct {
		RefreshToken string `json:"refresh_token" minLength:"1" maxLength:"128"`
	}
}

// Me is who the caller is.
type Me struct {
	TenantID string           `json:"tenant_id" format:"uuid"`
	Tenant   string           `json:"tenant" doc:"the tenant's key" example:"acme"`
	Subject  string           `json:"subject" doc:"id of the user or the API key" format:"uuid"`
	Kind     string           `json:"kind" enum:"user,api_key"`
	Roles    []string         `json:"roles" nullable:"false"`
	User     *masterdata.User `json:"user,omitempty" doc:"set for users"`
}

func (s *Server) authRoutes() {
	handle(s, public(), authOp(http.MethodPost, "login", "login", "Log in"), func(ctx context.Context, in *loginIn) (*tokensOut, error) {
		t, err := s.Auth.Login(ctx, in.Body.Email, in.Body.Password, hostOf(in.source))
		if err != nil {
			return nil, err
		}
		return &tokensOut{*t}, nil
	})
	handle(s, public(), authOp(http.MethodPost, "refresh", "refresh", "Get new tokens for a refresh token"), func(ctx context.Context, in *refreshIn) (*tokensOut, error) {
		t, err := s.Auth.Refresh(ctx, in.Body.RefreshToken)
		if err != nil {
			return nil, err
		}
		return &tokensOut{*t}, nil
	})
	out := authOp(http.MethodPost, "logout", "logout", "End a log-in")
	out.DefaultStatus = http.StatusNoContent
	handle(s, public(), out, func(ctx context.Context, in *refreshIn) (*emptyOut, error) {
		return &emptyOut{}, s.Auth.Logout(ctx, in.Body.RefreshToken)
	})
	type meOut struct{ Body Me }
	handle(s, anyone(), authOp(http.MethodGet, "me", "me", "Who the caller is"), func(ctx context.Context, _ *struct{}) (*meOut, error) {
		p := principal(ctx)
		me := Me{TenantID: p.Tenant.String(), Subject: p.Subject.String(), Kind: "user", Roles: p.Roles}
		if t, ok := s.Directory.Tenant(p.Tenant); ok {
			me.Tenant = t.Key
		}
		if p.Key {
			me.Kind = "api_key"
			return &meOut{me}, nil
		}
		u, err := s.Store.Users().Get(ctx, p.Tenant, p.Subject.String())
		if err != nil {
			return nil, err
		}
		me.User = u
		return &meOut{me}, nil
	})
	type jwksOut struct {
		CacheControl string `header:"Cache-Control"`
		Body         struct {
			Keys []auth.JWK `json:"keys" nullable:"false"`
		}
	}
	handle(s, public(), authOp(http.MethodGet, "jwks.json", "jwks", "Public keys of access tokens (RFC 7517)"), func(context.Context, *struct{}) (*jwksOut, error) {
		out := &jwksOut{CacheControl: "public, max-age=300"}
		out.Body.Keys = s.Auth.JWKS()
		return out, nil
	})
}
