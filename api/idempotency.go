package api

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
)

const maxIdempotencyKey = 200

// idempotencyHeader documents the header that idempotent acts on.
func idempotencyHeader() *huma.Param {
	most := maxIdempotencyKey
	return &huma.Param{
		Name: "Idempotency-Key", In: "header", Description: "a repeated request with the same key gets the first answer, for a day",
		Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &most, Examples: []any{"5f0c6a1e-order-4711"}},
	}
}

// idempotent gives a repeated POST with the same Idempotency-Key the first
// answer again. Requests and answers can hold secrets (a password, a new key), so
// what is stored is a keyed hash of the one and the other sealed. Failures of the
// service are forgotten, so that a repetition tries again.
func (s *Server) idempotent(ctx huma.Context, next func(huma.Context)) {
	key := ctx.Header("Idempotency-Key")
	who := principal(ctx.Context())
	if key == "" || ctx.Method() != http.MethodPost || who.Subject.IsZero() {
		next(ctx)
		return
	}
	_, w := humachi.Unwrap(ctx)
	if len(key) > maxIdempotencyKey {
		fault.Problem(w, fault.NewInvalid(fault.Item{Location: "Idempotency-Key", Rule: "length", Message: "must have at most 200 characters"}))
		return
	}
	body, err := io.ReadAll(ctx.BodyReader())
	if err != nil {
		fault.Problem(w, &fault.Error{Kind: fault.TooLarge, Detail: "the body is too large or broke off", Cause: err})
		return
	}
	url := ctx.URL()
	slot := masterdata.Once{Tenant: who.Tenant, Scope: who.Subject.String() + " " + ctx.Operation().OperationID, Key: key, Request: s.seal.sum(url.RequestURI(), body)}
	first, err := s.Store.Begin(ctx.Context(), slot)
	if err != nil {
		fault.Problem(w, err)
		return
	}
	if first != nil {
		if first.Body, err = s.seal.open(slot, first.Body); err != nil {
			fault.Problem(w, s.refuse(ctx.Context(), err))
			return
		}
		replay(w, first)
		return
	}
	rec := &recording{inner: ctx, in: bytes.NewReader(body), status: http.StatusOK, headers: map[string]string{}}
	done := false
	defer func() {
		// Also when the handler panics: the slot must not stay taken.
		out := masterdata.Answer{Status: rec.status, Headers: rec.headers, Body: s.seal.seal(slot, rec.out.Bytes())}
		if !done || rec.status >= http.StatusInternalServerError || rec.status == http.StatusTooManyRequests {
			out.Status = 0
		}
		if err := s.Store.End(context.WithoutCancel(ctx.Context()), slot, out); err != nil {
			s.Logger.WarnContext(ctx.Context(), "idempotent answer not stored", "error", err, "request_id", requestID(ctx.Context()))
		}
	}()
	next(rec)
	done = true
}

func replay(w http.ResponseWriter, a *masterdata.Answer) {
	for k, v := range a.Headers {
		w.Header().Set(k, v)
	}
	w.Header().Set("Idempotency-Replayed", "true")
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // an error means that the client is gone
}

// inner is huma.Context under a name that doesn't hide its method Context.
type inner huma.Context

// recording passes an answer on and keeps a copy.
type recording struct {
	inner
	in      io.Reader
	out     bytes.Buffer
	status  int
	headers map[string]string
}

// Unwrap lets the adapter find its own context.
func (r *recording) Unwrap() huma.Context { return r.inner }

// BodyReader gives the body that was read already.
func (r *recording) BodyReader() io.Reader { return r.in }

// SetStatus keeps the status.
func (r *recording) SetStatus(code int) {
	r.status = code
	r.inner.SetStatus(code)
}

// SetHeader keeps the header.
func (r *recording) SetHeader(name, value string) {
	r.headers[name] = value
	r.inner.SetHeader(name, value)
}

// BodyWriter writes to both.
func (r *recording) BodyWriter() io.Writer { return io.MultiWriter(r.inner.BodyWriter(), &r.out) }
