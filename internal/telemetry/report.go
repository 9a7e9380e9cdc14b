package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/getsentry/sentry-go"
	"golang.org/x/time/rate"
)

// Reporter tells Sentry of log lines of level Error: by the rule of our logs,
// what a person must act on. nil tells nothing.
type Reporter struct {
	client *sentry.Client
	limit  *rate.Limiter
}

// told are the attributes of a log line that go along. What they hold is of a
// closed set or random.
func told() []string {
	return []string{"role", "process", "request_id", "trace_id", "route", "method", "status", "topic", "partition", "kind", "job", "group", "type"}
}

// NewReporter makes a reporter, nil where no DSN is set.
func NewReporter(c Config) (*Reporter, error) {
	if err := c.Validate(); err != nil || c.DSN == "" {
		return nil, err
	}
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: c.DSN, Environment: c.Environment, Release: c.Version, ServerName: c.Service, MaxBreadcrumbs: -1,
		Integrations: func([]sentry.Integration) []sentry.Integration { return nil },
		BeforeSend: func(e *sentry.Event, _ *sentry.EventHint) *sentry.Event {
			e.Request, e.User, e.Breadcrumbs, e.Modules, e.Contexts = nil, sentry.User{}, nil, nil, nil
			return e
		},
	})
	if err != nil {
		// Its text would repeat the DSN.
		return nil, errors.New("sentry.dsn: is not a DSN")
	}
	return &Reporter{client: client, limit: rate.NewLimiter(rate.Every(6*time.Second), 10)}, nil
}

// Stop sends what is left, for so long.
func (r *Reporter) Stop(limit time.Duration) {
	if r != nil {
		r.client.Flush(limit)
		r.client.Close()
	}
}

// Handler passes log lines on and tells of those of level Error.
func (r *Reporter) Handler(next slog.Handler) slog.Handler {
	if r == nil {
		return next
	}
	return &reporting{Handler: next, r: r}
}

// reporting is a handler with the attributes it was given on its way.
type reporting struct {
	slog.Handler
	r     *Reporter
	attrs []slog.Attr
}

// WithAttrs remembers the attributes.
func (h *reporting) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &reporting{h.Handler.WithAttrs(attrs), h.r, append(slices.Clip(h.attrs), attrs...)}
}

// WithGroup opens a group; what is in one is not told.
func (h *reporting) WithGroup(name string) slog.Handler {
	return &reporting{h.Handler.WithGroup(name), h.r, h.attrs}
}

// Handle passes the line on.
func (h *reporting) Handle(ctx context.Context, rec slog.Record) error {
	if rec.Level >= slog.LevelError && h.r.limit.Allow() {
		h.r.tell(ctx, rec, h.attrs)
	}
	return h.Handler.Handle(ctx, rec)
}

func (r *Reporter) tell(ctx context.Context, rec slog.Record, attrs []slog.Attr) {
	e := sentry.NewEvent()
	e.Level, e.Message, e.Timestamp = sentry.LevelError, rec.Message, rec.Time
	if id := TraceID(ctx); id != "" {
		e.Tags["trace_id"] = id
	}
	cause := ""
	take := func(a slog.Attr) bool {
		switch {
		case a.Key == "error" || a.Key == "cause":
			cause = Scrub(a.Value.String())
		case a.Key == "panic":
			cause = panicText(a.Value.Any())
		case slices.Contains(told(), a.Key):
			e.Tags[a.Key] = Scrub(a.Value.String())
		}
		return true
	}
	for _, a := range attrs {
		take(a)
	}
	rec.Attrs(take)
	// The stack of who logs; a panic's is still below it.
	e.Exception = []sentry.Exception{{Type: rec.Message, Value: cause, Stacktrace: sentry.NewStacktrace()}}
	r.client.CaptureEvent(e, nil, nil)
}

// panicText tells a run-time error; any other value may hold input.
func panicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return Scrub(err.Error())
	}
	return fmt.Sprintf("a panic with a %T", v)
}

// Traced adds the trace of the context to each log line.
func Traced(next slog.Handler) slog.Handler { return traced{next} }

type traced struct{ slog.Handler }

// Handle adds trace_id where there is one.
func (h traced) Handle(ctx context.Context, rec slog.Record) error {
	if id := TraceID(ctx); id != "" {
		rec = rec.Clone()
		rec.AddAttrs(slog.String("trace_id", id))
	}
	return h.Handler.Handle(ctx, rec)
}

// WithAttrs keeps the trace.
func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

// WithGroup keeps the trace.
func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }
