package httpin

import (
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// maxKey bounds an Idempotency-Key.
const maxKey = 255

// keys remembers answered requests by tenant and Idempotency-Key.
type keys struct {
	size int
	ttl  time.Duration

	mu    sync.Mutex // guards m and order
	m     map[keyName]*list.Element
	order *list.List // of *keyed, oldest first
}

type keyName struct {
	tenant plant.ID
	key    string
}

// keyed is a request under a key. done is closed once a is set.
type keyed struct {
	name keyName
	sum  [32]byte
	at   time.Time
	done chan struct{}
	a    answer
	ok   bool
}

func newKeys(size int, ttl time.Duration) *keys {
	return &keys{size: size, ttl: ttl, m: map[keyName]*list.Element{}, order: list.New()}
}

// fingerprint tells requests apart that use one key.
func fingerprint(kind ingest.Kind, partial bool, body []byte) [32]byte {
	h := sha256.New()
	h.Write([]byte{byte(kind), map[bool]byte{true: 1}[partial]})
	h.Write(body)
	return [32]byte(h.Sum(nil))
}

// once runs work for the first request under a key and gives its answer to the
// later ones. A request that failed is forgotten: it may be tried again.
func (k *keys) once(ctx context.Context, tenant plant.ID, key string, sum [32]byte, work func() (answer, error)) (answer, error) {
	if len(key) > maxKey {
		return answer{}, fault.NewInvalid(fault.Item{Location: "Idempotency-Key", Rule: "too_long", Message: "must be at most 255 bytes"})
	}
	name := keyName{tenant, key}
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
	now := time.Now()
	for e := k.order.Front(); e != nil; e = k.order.Front() {
		old, _ := e.Value.(*keyed)
		if k.order.Len() < k.size && now.Sub(old.at) < k.ttl {
			break
		}
		k.order.Remove(e)
		delete(k.m, old.name)
	}
	if e, ok := k.m[name]; ok {
		other, _ = e.Value.(*keyed)
		return nil, other
	}
	mine = &keyed{name: name, sum: sum, at: now, done: make(chan struct{})}
	k.m[name] = k.order.PushBack(mine)
	return mine, nil
}

// settle ends a request.
func (k *keys) settle(r *keyed, a answer, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.a, r.ok = a, ok
	close(r.done)
	if e, found := k.m[r.name]; found && !ok && e.Value == any(r) {
		k.order.Remove(e)
		delete(k.m, r.name)
	}
}
