package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/foodflow/foodflow/api/auth"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/postgres"
)

// Roles names who may call a route. The document shows it as x-roles, and the
// tests of the role table are made from that.
type Roles []string

// The lists in use. A role stands in the list of everything it may do; there is
// no other inheritance.
func public() Roles { return nil }

func readers() Roles {
	return Roles{masterdata.RoleAdmin, masterdata.RoleManager, masterdata.RoleOperator, masterdata.RoleViewer}
}

func operators() Roles {
	return Roles{masterdata.RoleAdmin, masterdata.RoleManager, masterdata.RoleOperator}
}
func managers() Roles { return Roles{masterdata.RoleAdmin, masterdata.RoleManager} }
func admins() Roles   { return Roles{masterdata.RoleAdmin} }
func senders() Roles {
	return Roles{masterdata.RoleAdmin, masterdata.RoleManager, masterdata.RoleOperator, masterdata.RoleIngest}
}
func anyone() Roles { return masterdata.Roles() }

// aboutPeople are the kinds of things whose events tell of persons and of what opens
// doors: e-mail addresses, names, who may do what. They are for those who may list
// the things themselves.
func aboutPeople() []string { return []string{masterdata.KindUser, directory.KindAPIKey} }

// withheld are the kinds of things of whose events a caller is not told.
func withheld(who auth.Principal) []string {
	if slices.ContainsFunc(who.Roles, func(role string) bool { return slices.Contains(managers(), role) }) {
		return nil
	}
	return aboutPeople()
}

// withheldText says so in the document.
const withheldText = "Events of users and API keys come to the roles admin and manager only."

// rolesExtension is where an operation keeps its roles.
const rolesExtension = "x-roles"

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// handle declares a route: who may call it and what it does. Every error becomes
// a problem here.
func handle[I, O any](s *Server, roles Roles, op huma.Operation, do func(context.Context, *I) (*O, error)) {
	op.Extensions = map[string]any{rolesExtension: []string(roles)}
	op.Description = strings.TrimSpace(op.Description + " " + roles.forWhom())
	op.Security = []map[string][]string{} // said, not left out: nobody has to guess
	if op.Errors == nil {
		op.Errors = []int{http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError}
	}
	if roles != nil {
		op.Security = []map[string][]string{{"bearer": {}}, {"apiKey": {}}}
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden)
	}
	if roles != nil && op.Method == http.MethodPost {
		op.Parameters = append(op.Parameters, idempotencyHeader())
		op.Errors = append(op.Errors, http.StatusConflict, http.StatusUnprocessableEntity)
	}
	if _, has := typeOf[I]().FieldByName("IfNoneMatch"); has {
		op.Responses = map[string]*huma.Response{"304": {Description: "The caller has this version already"}}
	}
	if strings.Contains(op.Path, "{id}") {
		op.Errors = append(op.Errors, http.StatusNotFound)
	}
	if _, paged := typeOf[I]().FieldByName("Cursor"); paged || op.Method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusBadRequest)
	}
	if _, has := typeOf[I]().FieldByName("Body"); has {
		op.Errors = append(op.Errors, http.StatusUnsupportedMediaType)
	}
	if op.Method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusRequestEntityTooLarge)
	}
	if op.Path != "/" && op.Path != "/health" {
		op.Errors = append(op.Errors, http.StatusServiceUnavailable)
	}
	slices.Sort(op.Errors)
	op.Errors = slices.Compact(op.Errors)
	op.MaxBodyBytes = s.cfg.MaxBody
	huma.Register(s.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, s.refuse(ctx, err)
		}
		return out, nil
	})
}

// refuse turns an error into its answer; what is our own fault is logged.
func (s *Server) refuse(ctx context.Context, err error) error {
	p := newProblem(err)
	if p.err.Kind == fault.Internal {
		s.Logger.ErrorContext(ctx, "request failed", "error", err, "request_id", requestID(ctx))
	}
	return p
}

// problem answers with an error outside of a handler.
func (s *Server) problem(ctx context.Context, w http.ResponseWriter, err error) {
	var p *problem
	if errors.As(s.refuse(ctx, err), &p) {
		fault.Problem(w, p.err)
	}
}

type principalKey struct{}

// principal is who the request speaks for; admit has put it there.
func principal(ctx context.Context) auth.Principal {
	p, _ := ctx.Value(principalKey{}).(auth.Principal)
	return p
}

// admit finds out who asks, holds the route's roles and the rate.
func (s *Server) admit(ctx huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(ctx)
	roles, _ := ctx.Operation().Extensions[rolesExtension].([]string)
	who, source := auth.Principal{}, "address:"+address(r)
	if roles != nil {
		p, err := s.Auth.Authenticate(r)
		if err != nil {
			if limited := s.limits.take(w.Header(), source, s.Now()); limited != nil {
				err = limited
			}
			s.m.refused.WithLabelValues("unauthenticated").Inc()
			fault.Problem(w, err)
			return
		}
		who, source = p, p.Subject.String()
		note(r.Context(), p)
	}
	if err := s.limits.take(w.Header(), source, s.Now()); err != nil {
		s.m.refused.WithLabelValues("rate").Inc()
		fault.Problem(w, err)
		return
	}
	if roles != nil && !slices.ContainsFunc(who.Roles, func(role string) bool { return slices.Contains(roles, role) }) {
		s.m.refused.WithLabelValues("forbidden").Inc()
		fault.Problem(w, fault.New(fault.Forbidden, "this needs one of the roles %v", roles))
		return
	}
	ctx = huma.WithValue(ctx, principalKey{}, who)
	if mayBeOld(r) {
		ctx = huma.WithContext(ctx, postgres.AllowReplica(ctx.Context()))
	} else if roles != nil && r.Method != http.MethodGet {
		ctx = huma.WithContext(ctx, postgres.Followed(ctx.Context()))
	}
	next(ctx)
}

// mayBeOld says whether a replica may answer: to a request that only reads and
// demands neither a version nor, by Cache-Control: no-cache, the newest.
func mayBeOld(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("If-Match") == "" && !strings.Contains(r.Header.Get("Cache-Control"), "no-cache")
}
