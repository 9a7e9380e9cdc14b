package oee

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/foodflow/foodflow/internal/plant"
)

// lateRing remembers counts that the line doesn't keep: those that left the
// horizon, and those that were sent by parts of their own. Once it is full, the
// oldest is at next. The zero value is ready.
type lateRing struct {
	ids  []uint64
	next int

	// until is after the newest count that was not kept though it was within the
	// horizon; after a restart, after all counts.
	until int64
	// known is the set of ids while many are asked for.
	known map[uint64]struct{}
}

// lateID is eight bytes of an event's id, which is a hash or made by chance.
func lateID(id plant.ID) uint64 {
	return binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])
}

func (r *lateRing) has(id plant.ID) bool {
	if r.known == nil {
		r.known = make(map[uint64]struct{}, len(r.ids))
		for _, have := range r.ids {
			r.known[have] = struct{}{}
		}
	}
	_, found := r.known[lateID(id)]
	return found
}

func (r *lateRing) add(id plant.ID) {
	x := lateID(id)
	if len(r.ids) < maxLate {
		r.ids = append(r.ids, x)
	} else {
		delete(r.known, r.ids[r.next])
		r.ids[r.next] = x
		r.next = (r.next + 1) % maxLate
	}
	if r.known != nil {
		r.known[x] = struct{}{}
	}
}

// sendLate sends counts that are not kept by parts of their own: one a minute,
// product and unit. Its revision comes from the ids of its counts, so that such
// parts can be told apart.
func (l *Line) sendLate(cfg *Config, emit Emit) {
	late := l.news.late
	slices.SortFunc(late, func(a, b count) int {
		return cmp.Or(cmp.Compare(floor(a.ts), floor(b.ts)), cmp.Compare(a.product, b.product), cmp.Compare(a.unit, b.unit), compare(a.ts, &a.id, b.ts, &b.id))
	})
	for i := 0; i < len(late); {
		p := plant.OEEPart{Minute: floor(late[i].ts), Product: late[i].product, Policy: cfg.Policy}
		id := uint64(0)
		for first := &late[i]; i < len(late) && floor(late[i].ts) == p.Minute && late[i].product == first.product && late[i].unit == first.unit; i++ {
			addCount(cfg, &p, &late[i])
			id ^= lateID(late[i].id)
		}
		p.Revision = LateRevision | uint32(id)
		emit(&p)
	}
	l.late.known = nil
}
