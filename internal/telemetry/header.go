package telemetry

import (
	"bytes"
	"context"
	"encoding/hex"

	"go.opentelemetry.io/otel/trace"
)

// Where a trace goes on, in HTTP, in Kafka, in MQTT's user properties: the trace,
// and what the tracing systems on its way have to say to one another.
const (
	HeaderName = "traceparent"
	StateName  = "tracestate"
)

// maxState bounds a tracestate; what is longer is left out, as the standard
// allows.
const maxState = 512

// Pair is a header of a traced request.
type Pair struct {
	Name  string
	Value []byte
}

// Headers are those that carry the context's span on, nil unless it is sampled.
func Headers(ctx context.Context) []Pair {
	h := Header(ctx)
	if h == nil {
		return nil
	}
	out := append(make([]Pair, 0, 2), Pair{HeaderName, h})
	if state := trace.SpanContextFromContext(ctx).TraceState().String(); state != "" && len(state) <= maxState {
		out = append(out, Pair{StateName, []byte(state)})
	}
	return out
}

// headerSize is that of version 00: 00-<trace>-<span>-<flags>.
const headerSize = 55

// Header is the traceparent of the context's span, nil unless it is sampled.
func Header(ctx context.Context) []byte {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsSampled() || !sc.IsValid() {
		return nil
	}
	id, span := sc.TraceID(), sc.SpanID()
	b := append(make([]byte, 0, headerSize), "00-"...)
	b = hex.AppendEncode(b, id[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, span[:])
	return append(b, "-01"...)
}

// parseBoth reads a traceparent with its tracestate. A state that can't be read
// is left out; the trace goes on.
func parseBoth(h, state []byte) trace.SpanContext {
	sc := parse(h)
	if len(state) == 0 || len(state) > maxState || !sc.IsValid() {
		return sc
	}
	if s, err := trace.ParseTraceState(string(state)); err == nil {
		return sc.WithTraceState(s)
	}
	return sc
}

// parse reads a traceparent; the zero value is none.
func parse(h []byte) (sc trace.SpanContext) {
	if len(h) < headerSize || h[2] != '-' || h[35] != '-' || h[52] != '-' || len(h) > headerSize && (h[0] == '0' && h[1] == '0' || h[headerSize] != '-') {
		return sc
	}
	var version, flags [1]byte
	var id trace.TraceID
	var span trace.SpanID
	for _, f := range []struct{ to, from []byte }{{version[:], h[:2]}, {id[:], h[3:35]}, {span[:], h[36:52]}, {flags[:], h[53:55]}} {
		if !bytes.Equal(f.from, bytes.ToLower(f.from)) {
			return sc
		}
		if _, err := hex.Decode(f.to, f.from); err != nil {
			return sc
		}
	}
	if version[0] == 0xff {
		return sc
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true})
}
