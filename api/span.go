package api

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/fault"
)

// SpanIn is a half-open span of time, [from, to).
type SpanIn struct {
	From string `query:"from" doc:"RFC 3339 or Unix milliseconds; none: see the route" example:"2026-11-24T06:00:00Z"`
	To   string `query:"to" doc:"RFC 3339 or Unix milliseconds, not included; none: now"`
}

// times reads the span; it begins back before its end when from is not given.
func (x SpanIn) times(now time.Time, back time.Duration) (from, to int64, err error) {
	to = now.UnixMilli()
	if x.To != "" {
		if to, err = parseTime("to", x.To); err != nil {
			return 0, 0, err
		}
	}
	from = to - back.Milliseconds()
	if x.From != "" {
		if from, err = parseTime("from", x.From); err != nil {
			return 0, 0, err
		}
	}
	if from > to {
		return 0, 0, fault.NewInvalid(fault.Item{Location: "from", Rule: "order", Message: "must not be after to"})
	}
	return from, to, nil
}

// The years that every store can hold.
const (
	earliest = 0
	latest   = 4_102_444_800_000 // 2100-01-01
)

func parseTime(location, text string) (int64, error) {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return 0, fault.NewInvalid(fault.Item{Location: location, Rule: "time", Message: "must be RFC 3339 or Unix milliseconds"})
		}
		ms = t.UnixMilli()
	}
	if ms < earliest || ms > latest {
		return 0, fault.NewInvalid(fault.Item{Location: location, Rule: "range", Message: "must lie between 1970 and 2100"})
	}
	return ms, nil
}

// stamp shows Unix milliseconds as RFC 3339 with milliseconds.
type stamp int64

const stampForm = `"2006-01-02T15:04:05.000Z"`

// MarshalJSON gives the text.
func (t stamp) MarshalJSON() ([]byte, error) {
	return time.UnixMilli(int64(t)).UTC().AppendFormat(nil, stampForm), nil
}

// Schema documents the text.
func (stamp) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-11-24T06:00:00.000Z"}}
}

func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}

// Instant is a time as clients send it: RFC 3339, or Unix milliseconds as ingest
// takes them too.
type Instant int64

// UnmarshalJSON reads either form.
func (t *Instant) UnmarshalJSON(b []byte) error {
	text := string(b)
	if unquoted, err := strconv.Unquote(text); err == nil {
		v, err := time.Parse(time.RFC3339Nano, unquoted)
		if err != nil {
			return fmt.Errorf("reading a time: %w", err)
		}
		*t = Instant(v.UnixMilli())
		return nil
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("reading a time: %w", err)
	}
	*t = Instant(v)
	return nil
}

// Schema documents both forms.
func (Instant) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		OneOf:    []*huma.Schema{{Type: huma.TypeString, Format: "date-time"}, {Type: huma.TypeInteger, Format: "int64", Description: "Unix milliseconds"}},
		Examples: []any{"2026-11-24T06:00:00.000Z"},
	}
}
