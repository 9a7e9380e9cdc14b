// Package quota is rate limits by token bucket: a bucket for each subject and
// policy, filled at a steady rate up to its size, from which each request takes
// what it costs. It also writes the RateLimit headers, the same for every door.
//
// Promises. Over any time t a subject gets at most Burst + PerSecond·t, whatever
// comes in at once; a request that costs more than Burst may pass only while the
// bucket is full, and what it costs beyond Burst is owed and waited for, so that
// one request larger than the bucket is neither impossible nor a way around. A
// request that several policies hold is taken from all of them or from none.
// What Retry-After says is when the same request would pass if nothing else
// came in between.
//
// Limits. A Limiter remembers at most so many buckets. Past them it forgets the
// one that was unused the longest, which is the one nearest to full: forgetting
// fills it. The time is the caller's; a clock that steps back gives nothing and
// takes nothing.
//
// The headers are those of the IETF draft on RateLimit header fields in its form
// with separate fields, as most clients read it: RateLimit-Limit, -Remaining and
// -Reset of the policy that is nearest to its end, and RateLimit-Policy with all
// of them.
package quota
