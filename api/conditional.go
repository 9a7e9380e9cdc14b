package api

import (
	"io"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// conditional answers 304 without a body to who has the version already (RFC
// 9110, section 13.1.2), on routes that say so.
func conditional(ctx huma.Context, next func(huma.Context)) {
	have := ctx.Header("If-None-Match")
	if _, can := ctx.Operation().Responses["304"]; !can || have == "" || ctx.Method() != http.MethodGet {
		next(ctx)
		return
	}
	next(&sparing{inner: ctx, have: have})
}

// sparing passes an answer on, and leaves out the body that the caller has.
type sparing struct {
	inner
	have  string
	spare bool
}

// Unwrap lets the adapter find its own context.
func (c *sparing) Unwrap() huma.Context { return c.inner }

// SetHeader looks for the version.
func (c *sparing) SetHeader(name, value string) {
	if name == "ETag" {
		c.spare = matches(c.have, value)
	}
	c.inner.SetHeader(name, value)
}

// SetStatus turns 200 into 304 where the version is the caller's.
func (c *sparing) SetStatus(code int) {
	if c.spare = c.spare && code == http.StatusOK; c.spare {
		code = http.StatusNotModified
	}
	c.inner.SetStatus(code)
}

// BodyWriter gives away what is not to be sent.
func (c *sparing) BodyWriter() io.Writer {
	if c.spare {
		return io.Discard
	}
	return c.inner.BodyWriter()
}

// matches compares weakly, as reading may.
func matches(have, tag string) bool {
	for h := range strings.SplitSeq(have, ",") {
		h = strings.TrimPrefix(strings.TrimSpace(h), "W/")
		if h == "*" || h == tag {
			return true
		}
	}
	return false
}
