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

// together is where an operation says that its one change of master data and the
// record of its Idempotency-Key are one transaction.
const together = "together"

// changesOnce marks such a route: it writes through masterdata, once, and reads
// nothing of that afterwards.
func changesOnce(op huma.Operation) huma.Operation {
	op.Metadata = map[string]any{together: true}
	return op
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
			s.problem(ctx.Context(), w, err)
			return
		}
		replay(w, first)
		return
	}
	within, both := s.Store.Together(ctx.Context(), slot)
	if ctx.Operation().Metadata[together] != true {
		within = ctx.Context()
	}
	rec := &recording{inner: huma.WithContext(ctx, within), in: bytes.NewReader(body), status: http.StatusOK, headers: map[string]string{}}
	if err := s.take(slot, both, rec, next); err != nil {
		s.problem(ctx.Context(), w, err)
		return
	}
	rec.send()
}

// take lets the handler work and keeps its answer: with what it wrote where that
// waits for it, else beside it. An error is the answer in place of the handler's.
func (s *Server) take(slot masterdata.Once, both *masterdata.Together, rec *recording, next func(huma.Context)) error {
	ctx := rec.Context()
	kept, out := false, masterdata.Answer{}
	defer func() { // also when the handler panics: the slot must not stay taken
		both.Cancel(ctx)
		if kept {
			return
		}
		if err := s.Store.End(context.WithoutCancel(ctx), slot, out); err != nil {
			s.Logger.WarnContext(ctx, "idempotent answer not stored", "error", err, "request_id", requestID(ctx))
		}
	}()
	next(rec)
	answer := masterdata.Answer{Status: rec.status, Headers: rec.headers, Body: s.seal.seal(slot, rec.out.Bytes())}
	if both.Written() && rec.status < http.StatusBadRequest {
		if err := fault.Point("idempotent.commit"); err != nil {
			return err
		}
		if err := both.Commit(ctx, answer); err != nil {
			return err
		}
		kept = true
	}
	if err := fault.Point("idempotent.committed"); err != nil {
		return err
	}
	if rec.status < http.StatusInternalServerError && rec.status != http.StatusTooManyRequests {
		out = answer
	}
	return nil
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

// recording keeps an answer until it may go out.
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
func (r *recording) SetStatus(code int) { r.status = code }

// Status gives what was kept.
func (r *recording) Status() int { return r.status }

// SetHeader keeps the header.
func (r *recording) SetHeader(name, value string) { r.headers[name] = value }

// AppendHeader keeps the header behind what it has.
func (r *recording) AppendHeader(name, value string) {
	if has, ok := r.headers[name]; ok {
		value = has + ", " + value
	}
	r.headers[name] = value
}

// BodyWriter keeps the body.
func (r *recording) BodyWriter() io.Writer { return &r.out }

// send lets the answer go out.
func (r *recording) send() {
	for k, v := range r.headers {
		r.inner.SetHeader(k, v)
	}
	r.inner.SetStatus(r.status)
	_, _ = r.inner.BodyWriter().Write(r.out.Bytes()) // an error means that the client is gone
}
