package directory

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// ErrEntry means that an entry does not say what its kind must say.
var ErrEntry = errors.New("not a directory entry")

// Apply takes in the current state of one thing. An older version than the one
// held is ignored, as is a kind this program doesn't know.
func (s *Store) Apply(e *schemas.DirectoryEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Version < s.versions[e.ID] {
		return nil
	}
	var err error
	switch e.Kind {
	case KindTenant:
		err = set(s, &s.tenants, e)
	case KindLine:
		err = set(s, &s.lines, e)
	case KindSensor:
		err = set(s, &s.sensors, e, s.shareSensor)
	case KindProduct:
		err = set(s, &s.products, e)
	case KindCalendar:
		err = set(s, &s.calendars, e)
	case KindStopReason:
		err = set(s, &s.reasons, e)
	case KindAPIKey:
		err = set(s, &s.keys, e, s.keepNoted)
	case KindRevocation:
		err = set(s, &s.revoked, e)
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("applying %s %s: %w", e.Kind, e.ID, err)
	}
	if e.Version > 0 {
		s.versions[e.ID] = e.Version
	}
	s.changes.Add(1)
	if e.Kind == KindTenant && s.Deleting(e.ID) {
		s.deletions.Add(1)
	}
	return nil
}

// Remove takes in a tombstone; key is the record key "kind/tenant/id".
func (s *Store) Remove(key string) error {
	name, rest, _ := strings.Cut(key, "/")
	_, last, ok := strings.Cut(rest, "/")
	id, err := plant.ParseID(last)
	if !ok || err != nil {
		return fmt.Errorf("removing %q: %w", key, ErrEntry)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case KindTenant:
		drop(s, &s.tenants, id)
	case KindLine:
		drop(s, &s.lines, id)
	case KindSensor:
		drop(s, &s.sensors, id)
	case KindProduct:
		drop(s, &s.products, id)
	case KindCalendar:
		drop(s, &s.calendars, id)
	case KindStopReason:
		drop(s, &s.reasons, id)
	case KindAPIKey:
		drop(s, &s.keys, id)
	case KindRevocation:
		drop(s, &s.revoked, id)
	default:
		return nil
	}
	delete(s.versions, id)
	s.changes.Add(1)
	return nil
}

// set decodes and files an entry. The key is filed under the new thing before
// the old one's key goes, so a rename never makes the thing vanish.
func set[T any](s *Store, k *kind[T], e *schemas.DirectoryEntry, prepare ...func(*T)) error {
	v := new(T)
	if err := json.Unmarshal([]byte(e.Data), v); err != nil {
		return fmt.Errorf("%w: %w", ErrEntry, err)
	}
	id, space, key := k.name(v)
	if id != e.ID || id.IsZero() || key == "" {
		return fmt.Errorf("%w: id or key missing or not the record's own", ErrEntry)
	}
	for _, f := range prepare {
		f(v)
	}
	old, had := findID(s, k, id)
	k.byID.put(hashID(s.seed, id), v, func(o *T) bool { i, _, _ := k.name(o); return i == id })
	k.byKey.put(hashKey(s.seed, space, key), v, func(o *T) bool {
		_, sp, kk := k.name(o)
		return sp == space && kk == key
	})
	if had {
		if _, oldSpace, oldKey := k.name(old); oldSpace != space || oldKey != key {
			unfile(s, k, old)
		}
	}
	return nil
}

func drop[T any](s *Store, k *kind[T], id plant.ID) {
	old, ok := findID(s, k, id)
	if !ok {
		return
	}
	k.byID.remove(hashID(s.seed, id), func(o *T) bool { i, _, _ := k.name(o); return i == id })
	unfile(s, k, old)
}

// unfile takes a thing out of the index of keys, unless another thing has taken
// over its key since.
func unfile[T any](s *Store, k *kind[T], old *T) {
	id, space, key := k.name(old)
	k.byKey.remove(hashKey(s.seed, space, key), func(o *T) bool {
		i, sp, kk := k.name(o)
		return i == id && sp == space && kk == key
	})
}

// shareSensor makes the few distinct units and kinds of a million sensors one
// string each.
func (s *Store) shareSensor(x *Sensor) {
	x.Unit, x.Kind, x.Detect = s.intern(x.Unit), s.intern(x.Kind), s.intern(x.Detect)
}

// maxInterned bounds the set, so that odd units don't grow it for ever.
const maxInterned = 4096

func (s *Store) intern(v string) string {
	if have, ok := s.interned[v]; ok {
		return have
	}
	if len(s.interned) < maxInterned {
		v = strings.Clone(v)
		s.interned[v] = v
	}
	return v
}

// Entry makes the topic's form of a thing. Version counts the thing's changes.
func Entry(kind string, tenant, id plant.ID, version int64, thing any) (schemas.DirectoryEntry, error) {
	data, err := json.Marshal(thing)
	if err != nil {
		return schemas.DirectoryEntry{}, fmt.Errorf("encoding %s %s: %w", kind, id, err)
	}
	return schemas.DirectoryEntry{Kind: kind, Tenant: tenant, ID: id, Version: version, Data: string(data)}, nil
}

// EntryOf is Entry for the types of this package.
func EntryOf(version int64, thing any) (schemas.DirectoryEntry, error) {
	switch v := thing.(type) {
	case Tenant:
		return Entry(KindTenant, v.ID, v.ID, version, v)
	case Line:
		return Entry(KindLine, v.Tenant, v.ID, version, v)
	case Sensor:
		return Entry(KindSensor, v.Tenant, v.ID, version, v)
	case Product:
		return Entry(KindProduct, v.Tenant, v.ID, version, v)
	case Calendar:
		return Entry(KindCalendar, v.Tenant, v.ID, version, v)
	case StopReason:
		return Entry(KindStopReason, v.Tenant, v.ID, version, v)
	case APIKey:
		return Entry(KindAPIKey, v.Tenant, v.ID, version, v)
	case Revocation:
		return Entry(KindRevocation, v.Tenant, v.ID, version, v)
	}
	return schemas.DirectoryEntry{}, fmt.Errorf("encoding %T: %w", thing, ErrEntry)
}
