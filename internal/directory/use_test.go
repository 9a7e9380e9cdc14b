package directory

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/plant"
)

// keyed gives a directory with one key, and the key in the clear.
func keyed(t testing.TB) (*Store, Key, APIKey) {
	t.Helper()
	s, clear := NewStore(), NewKey()
	k := APIKey{ID: plant.NameID(acme, "key"), Tenant: acme, Public: clear.Public, Hash: clear.Hash(), Scopes: Scopes()}
	apply(t, s, 1, Tenant{ID: acme, Key: "acme"}, k)
	return s, clear, k
}

func authenticated(t testing.TB, s *Store, key Key, at time.Time) Principal {
	t.Helper()
	p, err := s.Authenticate(key.Reveal(), at)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUsesAreNotedOnceAMinute(t *testing.T) {
	s, key, k := keyed(t)
	now := time.UnixMilli(1_800_000_000_000)
	p := authenticated(t, s, key, now)
	took := func(what string, want time.Time) {
		t.Helper()
		got := s.TakeUses()
		if want.IsZero() && got == nil {
			return
		}
		if len(got) != 1 || got[k.ID] != (Use{acme, k.ID, want.UnixMilli()}) {
			t.Errorf("%s: %v, want a use at %v", what, got, want)
		}
	}
	took("log-in", now)
	took("taken already", time.Time{})
	s.Using(p, now.Add(UseEvery-time.Millisecond))
	authenticated(t, s, key, now.Add(time.Second))
	took("within the minute", time.Time{})
	// A new version of the key is the same key, and who logged in under the old
	// one goes on under the new.
	k.Scopes = []string{ScopeIngest}
	apply(t, s, 2, k)
	authenticated(t, s, key, now.Add(2*time.Second))
	took("a new version within the minute", time.Time{})
	later := now.Add(UseEvery)
	s.Using(p, later)
	took("a minute on", later)
	authenticated(t, s, key, later.Add(time.Second))
	took("the same minute by another door", time.Time{})
	s.Using(p, now.Add(-time.Hour))
	took("a clock that was set back", now.Add(-time.Hour))
	wrong := []byte(key.Reveal())
	if last := &wrong[len(wrong)-1]; *last == 'a' {
		*last = 'b'
	} else {
		*last = 'a'
	}
	if _, err := s.Authenticate(string(wrong), now.Add(time.Hour)); !errors.Is(err, ErrKeyUnknown) {
		t.Fatalf("a wrong secret: %v", err)
	}
	took("a wrong secret", time.Time{})
	k.Revoked = true
	apply(t, s, 3, k)
	if _, err := s.Authenticate(key.Reveal(), now.Add(time.Hour)); err == nil {
		t.Fatal("a revoked key is taken")
	}
	took("a revoked key", time.Time{})
	s.Using(Principal{Tenant: acme, KeyID: k.ID}, now) // one that no key stands behind
	took("nobody", time.Time{})
}

// TestOfManyAtOnceOneIsNoted: each minute has one use, whoever comes first.
func TestOfManyAtOnceOneIsNoted(t *testing.T) {
	s, key, _ := keyed(t)
	now := time.UnixMilli(1_800_000_000_000)
	p := authenticated(t, s, key, now)
	s.TakeUses()
	n := 0
	for minute := range 50 {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { s.Using(p, now.Add(time.Duration(minute+1)*UseEvery)) })
		}
		wg.Wait()
		n += len(s.TakeUses())
	}
	if n != 50 {
		t.Errorf("%d uses noted in 50 minutes", n)
	}
}

// TestUseCostsNothing holds the hot path to its promise: what every request and
// every MQTT group pays allocates nothing.
func TestUseCostsNothing(t *testing.T) {
	s, key, _ := keyed(t)
	now, text := time.Now(), key.Reveal()
	p := authenticated(t, s, key, now)
	if n := testing.AllocsPerRun(100, func() { s.Using(p, now) }); n != 0 {
		t.Errorf("a use allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Authenticate(text, now) }); n != 0 {
		t.Errorf("authenticating allocates %v times", n)
	}
}

func BenchmarkUsing(b *testing.B) {
	s, key, _ := keyed(b)
	now := time.Now()
	p := authenticated(b, s, key, now)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Using(p, now)
		}
	})
}
