package quota

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
)

// WriteHeader tells a client how it stands. A result without a policy says
// nothing.
func (r *Result) WriteHeader(h http.Header) {
	if len(r.Policies) == 0 {
		return
	}
	var all strings.Builder
	for i, p := range r.Policies {
		if i > 0 {
			all.WriteString(", ")
		}
		all.WriteString(whole(p.Burst))
		all.WriteString(";w=")
		all.WriteString(ceil(p.Window()))
		if p.Name != "" {
			all.WriteString(`;name="` + p.Name + `"`)
		}
	}
	h.Set("RateLimit-Policy", all.String())
	h.Set("RateLimit-Limit", whole(r.Nearest.Policy.Burst))
	h.Set("RateLimit-Remaining", whole(max(r.Nearest.Remaining, 0)))
	h.Set("RateLimit-Reset", ceil(r.Nearest.Reset))
}

// Err is the refusal of a request that was not let through, nil of one that was.
func (r *Result) Err() error {
	if r.OK {
		return nil
	}
	rate := strconv.FormatFloat(r.Nearest.Policy.PerSecond, 'f', -1, 64)
	e := fault.New(fault.RateLimited, "too many requests: %s a second are allowed", rate)
	if n := r.Nearest.Policy.Name; n != "" {
		e.Detail = "the quota " + n + " is used up: " + rate + " a second are allowed"
	}
	e.RetryAfter = r.RetryAfter
	return e
}

func whole(v float64) string { return strconv.FormatInt(int64(v), 10) }

func ceil(d time.Duration) string { return strconv.FormatInt(int64(math.Ceil(d.Seconds())), 10) }
