package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// scope names our spans' library.
const scope = "github.com/foodflow/foodflow"

// Tracer begins traces. nil is one that never does.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	asked    *rate.Limiter // for callers that ask to be sampled

	sample  float64
	sampled trace.Tracer // for who has decided by sample already
}

// askedRate is how many requests a second are traced because the caller asks.
const askedRate = 50

// NewTracer makes a tracer, nil where no endpoint is set. It connects to
// nothing; a collector that is away costs spans, never a request.
func NewTracer(ctx context.Context, c Config, log *slog.Logger) (*Tracer, error) {
	if err := c.Validate(); err != nil || c.Endpoint == "" {
		return nil, err
	}
	h, err := headers(c.Headers)
	if err != nil {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(c.endpoint()), otlptracehttp.WithHeaders(h), otlptracehttp.WithTimeout(10*time.Second))
	if err != nil {
		return nil, fmt.Errorf("opening the trace exporter: %w", err)
	}
	// Without resource.Default: it tells host, user and command line.
	res := resource.NewSchemaless(attribute.String("service.name", c.Service), attribute.String("service.version", c.Version))
	// Two providers, one way out, which the first one's end closes.
	out := sdk.WithSpanProcessor(sdk.NewBatchSpanProcessor(&quiet{exporter, log, rate.NewLimiter(rate.Every(time.Minute), 1)}, sdk.WithBatchTimeout(2*time.Second)))
	p := sdk.NewTracerProvider(sdk.WithResource(res), sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(c.Sample))), out)
	all := sdk.NewTracerProvider(sdk.WithResource(res), sdk.WithSampler(sdk.AlwaysSample()), out)
	return &Tracer{
		provider: p, tracer: p.Tracer(scope), asked: rate.NewLimiter(askedRate, askedRate), sample: c.Sample, sampled: all.Tracer(scope),
	}, nil
}

// Stop sends what is left.
func (t *Tracer) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("sending the last spans: %w", err)
	}
	return nil
}

// quiet logs a failed export at most once a minute, in place of the library's
// global error handler.
type quiet struct {
	sdk.SpanExporter
	log   *slog.Logger
	limit *rate.Limiter
}

// ExportSpans sends spans and swallows the error.
func (q *quiet) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if err := q.SpanExporter.ExportSpans(ctx, spans); err != nil && q.limit.Allow() {
		q.log.WarnContext(ctx, "spans can't be sent", "spans", len(spans), "error", Scrub(err.Error()))
	}
	return nil
}

// Span is a part of a traced request, or nothing.
type Span struct{ s trace.Span }

// Start begins a span below that of the context; without a sampled one there it
// does nothing and gives the context back.
func Start(ctx context.Context, name string) (context.Context, Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, Span{}
	}
	ctx, s := parent.TracerProvider().Tracer(scope).Start(ctx, name)
	return ctx, Span{s}
}

// Recording says whether anything is kept.
func (s Span) Recording() bool { return s.s != nil }

// Text notes a word that is one of a closed set: a table, a route.
func (s Span) Text(key, value string) {
	if s.s != nil {
		s.s.SetAttributes(attribute.String(key, value))
	}
}

// Int notes a number.
func (s Span) Int(key string, value int) {
	if s.s != nil {
		s.s.SetAttributes(attribute.Int(key, value))
	}
}

// End ends the span; what the error says is not kept, only that there was one.
func (s Span) End(err error) {
	if s.s == nil {
		return
	}
	if err != nil {
		s.s.SetStatus(codes.Error, "")
	}
	s.s.End()
}

// TraceID is the trace of the context, "" without one.
func TraceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}
