package oee

import (
	"encoding/binary"
	"slices"

	"github.com/foodflow/foodflow/internal/plant"
)

// lateRing remembers counts that the line doesn't keep: those that left the
// horizon, and those that were sent as parts of their own. Once it is full, the
// oldest is at next. The zero value is ready.
type lateRing struct {
	ids  []uint64
	next int
}

// lateID is eight bytes of an event's id, which is a hash or made by chance.
func lateID(id plant.ID) uint64 {
	return binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])
}

func (r *lateRing) has(id plant.ID) bool {
	return len(r.ids) > 0 && slices.Contains(r.ids, lateID(id))
}

func (r *lateRing) add(id plant.ID) {
	if len(r.ids) < maxLate {
		r.ids = append(r.ids, lateID(id))
		return
	}
	r.ids[r.next] = lateID(id)
	r.next = (r.next + 1) % maxLate
}

// lateCount sends a count that is not kept as a part of its own, a copy of it
// excepted, and says whether it did.
func (l *Line) lateCount(cfg *Config, e *plant.LineEvent, emit Emit) bool {
	if l.late.has(e.ID) {
		return false
	}
	l.late.add(e.ID)
	p := plant.OEEPart{Minute: floor(e.TS), Product: e.Product, Revision: LateRevision | uint32(lateID(e.ID)), Policy: cfg.Policy}
	addCount(cfg, &p, &count{e.TS, e.ID, e.Product, e.Unit, e.Good, e.Scrap, e.Rework})
	emit(&p)
	return true
}
