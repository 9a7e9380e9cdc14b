package telemetry

import (
	"context"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// Message begins the span of a message that came by another way than HTTP. The
// sender may have brought a trace along, "" where it didn't; that is heeded as it
// is with HTTP. Messages come in hundreds of thousands a second, so one that is
// not sampled costs a random number; without a tracer, nothing. The headers carry
// the span on.
func (t *Tracer) Message(name, parent, state string) (Span, []Pair) {
	if t == nil {
		return Span{}, nil
	}
	ctx := context.Background()
	if parent != "" {
		ctx = t.caller(ctx, parent, state)
	}
	if !trace.SpanContextFromContext(ctx).IsSampled() && rand.Float64() >= t.sample {
		return Span{}, nil
	}
	ctx, s := t.sampled.Start(ctx, name, trace.WithSpanKind(trace.SpanKindConsumer))
	return Span{s}, Headers(ctx)
}
