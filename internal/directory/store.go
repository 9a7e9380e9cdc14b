package directory

import (
	"hash/maphash"
	"iter"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/foodflow/foodflow/internal/plant"
)

// Store is the directory in memory. Its zero value is not usable; NewStore
// makes one. Lookups are safe beside Apply and beside one another.
type Store struct {
	seed maphash.Seed

	mu       sync.Mutex // guards every write: Apply, versions, interned
	versions map[plant.ID]int64
	interned map[string]string

	tenants   kind[Tenant]
	lines     kind[Line]
	sensors   kind[Sensor]
	products  kind[Product]
	calendars kind[Calendar]
	reasons   kind[StopReason]
	keys      kind[APIKey] // by ID and by (zero, Public)
	revoked   kind[Revocation]
	uses      uses
	changes   atomic.Uint64
	deletions atomic.Uint64
}

// kind holds the things of one kind by id and by their tenant's key.
type kind[T any] struct {
	byID  index[T]
	byKey index[T]
	// name gives what a thing is found by: id, and key within a space (the
	// tenant, or zero where keys are unique in the installation).
	name func(*T) (id, space plant.ID, key string)
}

// NewStore makes an empty directory.
func NewStore() *Store {
	s := &Store{seed: maphash.MakeSeed(), versions: map[plant.ID]int64{}, interned: map[string]string{}, uses: uses{seen: map[plant.ID]Use{}}}
	initKind(&s.tenants, func(t *Tenant) (plant.ID, plant.ID, string) { return t.ID, plant.ID{}, t.Key })
	initKind(&s.lines, func(l *Line) (plant.ID, plant.ID, string) { return l.ID, l.Tenant, l.Key })
	initKind(&s.sensors, func(x *Sensor) (plant.ID, plant.ID, string) { return x.ID, x.Tenant, x.Key })
	initKind(&s.products, func(p *Product) (plant.ID, plant.ID, string) { return p.ID, p.Tenant, p.Key })
	initKind(&s.calendars, func(c *Calendar) (plant.ID, plant.ID, string) { return c.ID, c.Tenant, c.Key })
	initKind(&s.reasons, func(r *StopReason) (plant.ID, plant.ID, string) { return r.ID, r.Tenant, r.Key })
	initKind(&s.keys, func(k *APIKey) (plant.ID, plant.ID, string) { return k.ID, plant.ID{}, k.Public })
	// Nobody asks for one by a key; its id is the space of the only one.
	initKind(&s.revoked, func(r *Revocation) (plant.ID, plant.ID, string) { return r.ID, r.ID, KindRevocation })
	return s
}

func initKind[T any](k *kind[T], name func(*T) (plant.ID, plant.ID, string)) {
	k.byID.init()
	k.byKey.init()
	k.name = name
}

// Tenant finds a tenant by id.
func (s *Store) Tenant(id plant.ID) (*Tenant, bool) { return findID(s, &s.tenants, id) }

// TenantByKey finds a tenant by its key.
func (s *Store) TenantByKey(key string) (*Tenant, bool) {
	return findKey(s, &s.tenants, plant.ID{}, key)
}

// LineByID finds a line of any tenant; the caller knows whose it asks for.
func (s *Store) LineByID(id plant.ID) (*Line, bool) { return findID(s, &s.lines, id) }

// SensorByID finds a sensor of any tenant; the caller knows whose it asks for.
func (s *Store) SensorByID(id plant.ID) (*Sensor, bool) { return findID(s, &s.sensors, id) }

// Line finds a tenant's line by its id or its key.
func (s *Store) Line(tenant plant.ID, idOrKey string) (*Line, bool) {
	return findEither(s, &s.lines, tenant, idOrKey)
}

// LineBytes is Line without a string to make.
func (s *Store) LineBytes(tenant plant.ID, idOrKey []byte) (*Line, bool) {
	return findEither(s, &s.lines, tenant, borrow(idOrKey))
}

// Sensor finds a tenant's sensor by its id or its key.
func (s *Store) Sensor(tenant plant.ID, idOrKey string) (*Sensor, bool) {
	return findEither(s, &s.sensors, tenant, idOrKey)
}

// SensorBytes is Sensor without a string to make.
func (s *Store) SensorBytes(tenant plant.ID, idOrKey []byte) (*Sensor, bool) {
	return findEither(s, &s.sensors, tenant, borrow(idOrKey))
}

// borrow reads bytes as a string without a copy. A lookup keeps nothing of it
// past its return.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Product finds a tenant's product by its id or its key.
func (s *Store) Product(tenant plant.ID, idOrKey string) (*Product, bool) {
	return findEither(s, &s.products, tenant, idOrKey)
}

// Calendar finds a calendar by id.
func (s *Store) Calendar(id plant.ID) (*Calendar, bool) { return findID(s, &s.calendars, id) }

// ReasonClass gives the class of time that a stop reason stands for: as the tenant
// has it, or as plant has for a reason that the tenant doesn't know. False: none, the
// line's state decides.
func (s *Store) ReasonClass(tenant plant.ID, reason string) (plant.TimeClass, bool) {
	if r, ok := s.StopReason(tenant, reason); ok {
		return plant.ParseTimeClass(r.Class)
	}
	return plant.ReasonClass(reason)
}

// StopReason finds a tenant's stop reason by its id or its key.
func (s *Store) StopReason(tenant plant.ID, idOrKey string) (*StopReason, bool) {
	return findEither(s, &s.reasons, tenant, idOrKey)
}

// Revoked says whether an access token may no longer be taken that was made for a
// version of a tenant's user. It is asked for a log-in with version 0.
func (s *Store) Revoked(tenant, id plant.ID, version int64) bool {
	r, ok := findID(s, &s.revoked, id)
	return ok && r.Tenant == tenant && (r.Below == 0 || version < r.Below)
}

// Tenants, Lines and Sensors visit all there are, in no order.
func (s *Store) Tenants() iter.Seq[*Tenant] { return s.tenants.byID.each }

// Lines visits the lines of all tenants.
func (s *Store) Lines() iter.Seq[*Line] { return s.lines.byID.each }

// Sensors visits the sensors of all tenants.
func (s *Store) Sensors() iter.Seq[*Sensor] { return s.sensors.byID.each }

// Changes counts the entries applied so far. Who keeps something derived from
// an entry compares it, or the entry's pointer, to see that it is stale.
func (s *Store) Changes() uint64 { return s.changes.Load() }

// Deletions counts the entries so far that said of a tenant that it is being
// deleted. Who keeps state of tenants compares it to see that some must go.
func (s *Store) Deletions() uint64 { return s.deletions.Load() }

// Deleting says whether nothing of a tenant may be kept any longer.
func (s *Store) Deleting(id plant.ID) bool {
	t, ok := s.Tenant(id)
	return ok && t.Deleting
}

func findID[T any](s *Store, k *kind[T], id plant.ID) (*T, bool) {
	v := k.byID.find(hashID(s.seed, id), func(v *T) bool { i, _, _ := k.name(v); return i == id })
	return v, v != nil
}

func findKey[T any](s *Store, k *kind[T], space plant.ID, key string) (*T, bool) {
	v := k.byKey.find(hashKey(s.seed, space, key), func(v *T) bool {
		_, sp, have := k.name(v)
		return sp == space && have == key
	})
	return v, v != nil
}

func findEither[T any](s *Store, k *kind[T], tenant plant.ID, idOrKey string) (*T, bool) {
	if id, ok := parseID(idOrKey); ok {
		if v, ok := findID(s, k, id); ok {
			if _, owner, _ := k.name(v); owner == tenant {
				return v, true
			}
		}
	}
	return findKey(s, k, tenant, idOrKey)
}

// parseID reads the canonical form of an id, in either case, without allocating
// on what is none.
func parseID(text string) (id plant.ID, ok bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return id, false
	}
	at := 0
	for i := range id {
		if at == 8 || at == 13 || at == 18 || at == 23 {
			at++
		}
		hi, lo := nibble(text[at]), nibble(text[at+1])
		if hi|lo > 15 {
			return plant.ID{}, false
		}
		id[i] = hi<<4 | lo
		at += 2
	}
	return id, true
}

// nibble is the value of a hexadecimal digit, 255 for anything else.
func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
