package directory

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/foodflow/foodflow/internal/plant"
)

// index is a hash table of pointers with open addressing: any number of readers
// without a lock, one writer at a time (the Store's mutex). Readers see either
// the old or the new pointer of a slot; when the table grows they finish on the
// old one, which is never written again.
type index[T any] struct {
	table atomic.Pointer[table[T]]
	gone  *T // marks a slot whose entry was removed, so that probing goes on
	used  int
	live  int
}

type table[T any] struct {
	mask  uint64
	slots []slot[T]
}

// slot keeps the hash beside the pointer, so that a probe touches only what it
// finds and growing needs no rehash. The hash is written first, before the
// pointer makes the slot count, and stays; so who sees the pointer sees it.
type slot[T any] struct {
	hash  atomic.Uint64
	value atomic.Pointer[T]
}

const firstSlots = 64

func newTable[T any](n int) *table[T] {
	return &table[T]{mask: uint64(n - 1), slots: make([]slot[T], n)}
}

func (x *index[T]) init() {
	x.gone = new(T)
	x.table.Store(newTable[T](firstSlots))
}

// slot finds the slot of the value for which same holds, nil when there is none.
func (x *index[T]) slot(hash uint64, same func(*T) bool) (*slot[T], *T) {
	t := x.table.Load()
	for i := hash & t.mask; ; i = (i + 1) & t.mask {
		s := &t.slots[i]
		v := s.value.Load()
		if v == nil {
			return nil, nil
		}
		if s.hash.Load() == hash && v != x.gone && same(v) {
			return s, v
		}
	}
}

// find returns the value of hash for which same holds.
func (x *index[T]) find(hash uint64, same func(*T) bool) *T {
	_, v := x.slot(hash, same)
	return v
}

// put replaces the value for which same holds, or adds v. Writer only.
func (x *index[T]) put(hash uint64, v *T, same func(*T) bool) {
	if s, _ := x.slot(hash, same); s != nil {
		s.value.Store(v)
		return
	}
	t := x.table.Load()
	if (x.used+1)*4 > len(t.slots)*3 {
		t = x.grow(t)
	}
	t.insert(hash, v)
	x.used++
	x.live++
}

// remove takes out the value for which same holds. Writer only.
func (x *index[T]) remove(hash uint64, same func(*T) bool) {
	if s, _ := x.slot(hash, same); s != nil {
		s.value.Store(x.gone)
		x.live--
	}
}

// grow copies what lives into a table that is at most half full.
func (x *index[T]) grow(old *table[T]) *table[T] {
	n := firstSlots
	for n < (x.live+1)*2 {
		n *= 2
	}
	t := newTable[T](n)
	for i := range old.slots {
		s := &old.slots[i]
		if v := s.value.Load(); v != nil && v != x.gone {
			t.insert(s.hash.Load(), v)
		}
	}
	x.used = x.live
	x.table.Store(t)
	return t
}

func (t *table[T]) insert(hash uint64, v *T) {
	i := hash & t.mask
	for t.slots[i].value.Load() != nil {
		i = (i + 1) & t.mask
	}
	t.slots[i].hash.Store(hash)
	t.slots[i].value.Store(v)
}

// each visits what lives; what changes meanwhile may or may not be seen.
func (x *index[T]) each(yield func(*T) bool) {
	t := x.table.Load()
	for i := range t.slots {
		if v := t.slots[i].value.Load(); v != nil && v != x.gone && !yield(v) {
			return
		}
	}
}

// hashID and hashKey depend on the process's seed, so that no tenant can choose
// keys that collide.
func hashID(seed maphash.Seed, id plant.ID) uint64 { return maphash.Bytes(seed, id[:]) }

func hashKey(seed maphash.Seed, space plant.ID, key string) uint64 {
	return maphash.Bytes(seed, space[:])*0x9E3779B97F4A7C15 ^ maphash.String(seed, key)
}
