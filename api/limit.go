package api

import (
	"net/http"
	"time"

	"github.com/foodflow/foodflow/internal/quota"
)

// limiter is a token bucket for each principal or address.
type limiter struct {
	policy  quota.Policy
	buckets *quota.Limiter[string]
}

// maxBuckets bounds memory.
const maxBuckets = 50_000

func newLimiter(perSecond float64, burst int) *limiter {
	return &limiter{policy: quota.Policy{PerSecond: perSecond, Burst: float64(burst)}, buckets: quota.New[string](maxBuckets)}
}

// take counts a request, writes the RateLimit headers, and says why it is
// refused if it is.
func (l *limiter) take(h http.Header, who string, now time.Time) error {
	r := l.buckets.Take(now, quota.Charge[string]{Who: who, Policy: l.policy, Cost: 1})
	r.WriteHeader(h)
	return r.Err()
}
