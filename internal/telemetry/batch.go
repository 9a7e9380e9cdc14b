package telemetry

import (
	"bytes"
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// maxLinks bounds the requests that a batch remembers.
const maxLinks = 64

// Links are the sampled requests whose records a batch holds.
type Links struct {
	last  []byte
	found []trace.SpanContext
}

// Note takes a record's traceparent and tracestate.
func (l *Links) Note(header, state []byte) {
	if len(l.found) >= maxLinks || bytes.Equal(header, l.last) {
		return
	}
	l.last = append(l.last[:0], header...)
	sc := parseBoth(header, state)
	if sc.IsSampled() && sc.IsValid() && !slices.ContainsFunc(l.found, sc.Equal) {
		l.found = append(l.found, sc)
	}
}

// Reset forgets.
func (l *Links) Reset() { l.last, l.found = l.last[:0], l.found[:0] }

// Batch is the common work on the records of several requests.
type Batch struct {
	span   trace.Span
	others []trace.Span
}

// Batch begins such work in the trace of the first request, and a span in each
// other one's; the spans know each other by links. Without requests it does
// nothing.
func (t *Tracer) Batch(ctx context.Context, name string, began time.Time, l *Links) (context.Context, Batch) {
	if t == nil || len(l.found) == 0 {
		return ctx, Batch{}
	}
	links := make([]trace.Link, 0, len(l.found)-1)
	for _, sc := range l.found[1:] {
		links = append(links, trace.Link{SpanContext: sc})
	}
	opts := []trace.SpanStartOption{trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindConsumer)}
	out, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, l.found[0]), name, append(opts, trace.WithLinks(links...))...)
	b := Batch{span: span}
	for _, sc := range l.found[1:] {
		_, s := t.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, sc), name, append(opts, trace.WithLinks(trace.Link{SpanContext: span.SpanContext()}))...)
		b.others = append(b.others, s)
	}
	return out, b
}

// End ends the spans.
func (b Batch) End(err error) {
	for _, s := range b.others {
		Span{s}.End(err)
	}
	Span{b.span}.End(err)
}
