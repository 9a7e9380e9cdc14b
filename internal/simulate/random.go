package simulate

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"
)

// random is a stream of its own for each thing that is random, so that one more
// sensor changes nothing about the others.
type random struct{ *rand.Rand }

func newRandom(seed uint64, origin int64, name string) random {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	return random{rand.New(rand.NewPCG(seed^uint64(origin), h.Sum64()))}
}

// seconds gives a length of log-normal distribution between two bounds: most
// stops are short, few are long.
func (r random) seconds(median, low, high float64) int64 {
	s := median * math.Exp(0.6*r.NormFloat64())
	return int64(1000 * min(max(s, low), high))
}

// wait gives an exponential time with a mean, at least low.
func (r random) wait(mean, low time.Duration) int64 {
	return max(int64(float64(mean.Milliseconds())*r.ExpFloat64()), low.Milliseconds())
}

func pick[T any](r random, of []T) T { return of[r.IntN(len(of))] }
