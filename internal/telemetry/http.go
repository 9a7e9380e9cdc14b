package telemetry

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Middleware makes each request a span, named by route once that is known.
// Without a tracer it gives next itself.
func (t *Tracer) Middleware(route func(*http.Request) string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if t == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, span := t.tracer.Start(t.caller(r.Context(), r.Header.Get(HeaderName), r.Header.Get(StateName)), r.Method, trace.WithSpanKind(trace.SpanKindServer))
			r = r.WithContext(ctx)
			if !span.IsRecording() {
				next.ServeHTTP(w, r)
				return
			}
			sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
			defer func() {
				name := route(r)
				span.SetName(r.Method + " " + name)
				span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.String("http.route", name), attribute.Int("http.response.status_code", sw.status))
				if sw.status >= http.StatusInternalServerError {
					span.SetStatus(codes.Error, "")
				}
				span.End()
			}()
			next.ServeHTTP(sw, r)
		})
	}
}

// caller gives the context with the trace that the caller brought. One that asks
// to be sampled when too many do begins a trace of its own.
func (t *Tracer) caller(ctx context.Context, parent, state string) context.Context {
	sc := parseBoth([]byte(parent), []byte(state))
	if !sc.IsValid() || sc.IsSampled() && !t.asked.Allow() {
		return ctx
	}
	if !sc.IsSampled() {
		// The caller's own sampling is about the caller: ours decides.
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, sc)
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

// WriteHeader passes the status on.
func (w *statusWriter) WriteHeader(status int) {
	if !w.wrote && status >= http.StatusOK {
		w.status, w.wrote = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write answers 200 if nothing was said before.
func (w *statusWriter) Write(b []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach what is underneath.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush lets a stream through.
func (w *statusWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }
