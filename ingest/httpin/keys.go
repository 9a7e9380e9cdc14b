package httpin

import (
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// maxKey bounds an Idempotency-Key.
const maxKey = 255

// keys remembers requests by API key and Idempotency-Key. A request that runs is
// always remembered: forgetting it would let its copy run beside it. Those that
// were answered are bounded in number, bytes and age, and the oldest go first.
type keys struct {
	size  int
	bytes int
	ttl   time.Duration

	mu    sync.Mutex // guards the rest
	m     map[keyName]*keyed
	order *list.List // of *keyed that are answered, oldest first
	held  int        // bytes of those in order
}

// keyName is a request's key. Two gateways with API keys of their own may count
// their requests from 1, so the API key is part of it.
type keyName struct {
	apiKey plant.ID
	key    string
}

// keyed is a request under a key. done is closed once the rest is set.
type keyed struct {
	name keyName
	sum  [32]byte
	done chan struct{}
	a    answer
	ok   bool
	at   time.Time // of the answer
}

// weight is about what an answered request takes in memory.
func (r *keyed) weight() int {
	n := 400 + len(r.name.key)
	for _, e := range r.a.Errors {
		n += 64 + len(e.Location) + len(e.Message)
	}
	return n
}

func newKeys(size, bytes int, ttl time.Duration) *keys {
	return &keys{size: size, bytes: bytes, ttl: ttl, m: map[keyName]*keyed{}, order: list.New()}
}

// fingerprint tells requests apart that use one key.
func (q *request) fingerprint() [32]byte {
	h := sha256.New()
	h.Write([]byte{byte(q.kind), byte(q.format), map[bool]byte{true: 1}[q.partial]})
	h.Write(q.body)
	return [32]byte(h.Sum(nil))
}

// once runs work for the first request under a key and gives its answer to the
// later ones; one that comes while the first runs waits for it. A request that
// failed is forgotten: it may be tried again, and the first who waits does.
func (k *keys) once(ctx context.Context, name keyName, sum [32]byte, work func() (answer, error)) (answer, error) {
	if len(name.key) > maxKey {
		return answer{}, fault.NewInvalid(fault.Item{Location: "Idempotency-Key", Rule: "too_long", Message: "must be at most 255 bytes"})
	}
	for {
		mine, other := k.claim(name, sum)
		if other == nil {
			return k.run(mine, work)
		}
		if other.sum != sum {
			return answer{}, fault.NewInvalid(fault.Item{Location: "Idempotency-Key", Rule: "reused", Message: "was used for another request"})
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return answer{}, errors.Join(fault.New(fault.Unavailable, "the first request under this key is still running"), ctx.Err())
		}
		if other.ok {
			return other.a, nil
		}
	}
}

// run does the work of a claimed key. A panic settles the key too, or everybody
// who comes with it later would wait for nothing.
func (k *keys) run(mine *keyed, work func() (answer, error)) (a answer, err error) {
	ok := false
	defer func() { k.settle(mine, a, ok) }()
	a, err = work()
	ok = err == nil
	return a, err
}

// claim enters a request, or gives the one that holds the key.
func (k *keys) claim(name keyName, sum [32]byte) (mine, other *keyed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(time.Now())
	if other, ok := k.m[name]; ok {
		return nil, other
	}
	mine = &keyed{name: name, sum: sum, done: make(chan struct{})}
	k.m[name] = mine
	return mine, nil
}

// settle ends a request.
func (k *keys) settle(r *keyed, a answer, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.a, r.ok, r.at = a, ok, time.Now()
	close(r.done)
	if !ok {
		delete(k.m, r.name)
		return
	}
	k.order.PushBack(r)
	k.held += r.weight()
	k.forget(r.at)
}

// forget drops answered requests past the bounds.
func (k *keys) forget(now time.Time) {
	for e := k.order.Front(); e != nil; e = k.order.Front() {
		old, _ := e.Value.(*keyed)
		if k.order.Len() <= k.size && k.held <= k.bytes && now.Sub(old.at) < k.ttl {
			return
		}
		k.order.Remove(e)
		k.held -= old.weight()
		delete(k.m, old.name)
	}
}
