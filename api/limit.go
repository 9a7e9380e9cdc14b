package api

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/foodflow/foodflow/internal/fault"
)

// limiter is a token bucket for each principal or address.
type limiter struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex // guards the rest
	buckets map[string]*bucket
}

type bucket struct {
	*rate.Limiter
	used time.Time
}

// maxBuckets bounds memory; past it the ones that are full again are dropped,
// which changes nothing for their owners.
const maxBuckets = 50_000

func newLimiter(perSecond float64, burst int) *limiter {
	return &limiter{rate: rate.Limit(perSecond), burst: burst, buckets: map[string]*bucket{}}
}

// take counts a request and writes the RateLimit headers.
func (l *limiter) take(h http.Header, who string, now time.Time) bool {
	b := l.bucket(who, now)
	ok := b.AllowN(now, 1)
	left := max(b.TokensAt(now), 0)
	reset := math.Ceil((float64(l.burst) - left) / float64(l.rate))
	h.Set("RateLimit-Limit", strconv.Itoa(l.burst))
	h.Set("RateLimit-Remaining", strconv.Itoa(int(left)))
	h.Set("RateLimit-Reset", strconv.Itoa(int(reset)))
	h.Set("RateLimit-Policy", fmt.Sprintf("%d;w=%d", l.burst, int(math.Ceil(float64(l.burst)/float64(l.rate)))))
	return ok
}

func (l *limiter) bucket(who string, now time.Time) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[who]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.sweep(now)
		}
		b = &bucket{Limiter: rate.NewLimiter(l.rate, l.burst)}
		l.buckets[who] = b
	}
	b.used = now
	return b
}

// sweep drops what has filled up again; when that is nothing, everything, for
// memory goes before fairness.
func (l *limiter) sweep(now time.Time) {
	full := time.Duration(float64(l.burst) / float64(l.rate) * float64(time.Second))
	for who, b := range l.buckets {
		if now.Sub(b.used) >= full {
			delete(l.buckets, who)
		}
	}
	if len(l.buckets) >= maxBuckets {
		clear(l.buckets)
	}
}

func tooMany() error {
	return &fault.Error{Kind: fault.RateLimited, Detail: "too many requests", RetryAfter: time.Second}
}
