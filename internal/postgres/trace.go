package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/telemetry"
)

// tracing makes each statement of a traced request a span. It says what kind of
// statement it is, never its text or parameters.
type tracing struct{}

type spanKey struct{}

// TraceQueryStart begins the span.
func (tracing) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	ctx, span := telemetry.Start(ctx, "query")
	if !span.Recording() {
		return ctx
	}
	span.Text("db.system.name", "postgresql")
	span.Text("db.operation.name", operation(q.SQL))
	return context.WithValue(ctx, spanKey{}, span)
}

// TraceQueryEnd ends it.
func (tracing) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryEndData) {
	if span, ok := ctx.Value(spanKey{}).(telemetry.Span); ok {
		span.End(q.Err)
	}
}

// operation is a statement's first word.
func operation(sql string) string {
	word, _, _ := strings.Cut(strings.TrimLeft(sql, " \t\n("), " ")
	return strings.ToUpper(strings.TrimRight(word, ";"))
}
