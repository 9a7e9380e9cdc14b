package directory

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

var acme = plant.NameID(plant.ID{}, "acme")

func apply(t testing.TB, s *Store, version int64, things ...any) {
	t.Helper()
	for _, thing := range things {
		e, err := EntryOf(version, thing)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(&e); err != nil {
			t.Fatal(err)
		}
	}
}

func sensor(key string) Sensor {
	return Sensor{ID: plant.NameID(acme, key), Tenant: acme, Key: key, Name: key, Unit: "degC", Kind: "temperature"}
}

func TestSensorIsFoundByEveryName(t *testing.T) {
	s := NewStore()
	x := sensor("oven")
	apply(t, s, 1, x)
	for _, name := range []string{"oven", x.ID.String(), strings.ToUpper(x.ID.String())} {
		if got, ok := s.Sensor(acme, name); !ok || got.ID != x.ID {
			t.Errorf("by %q: %v", name, got)
		}
		if got, ok := s.SensorBytes(acme, []byte(name)); !ok || got.ID != x.ID {
			t.Errorf("by bytes %q: %v", name, got)
		}
		if _, ok := s.Sensor(plant.NewID(), name); ok {
			t.Errorf("another tenant finds it by %q", name)
		}
	}
}

func TestRenameAndRemove(t *testing.T) {
	s := NewStore()
	x := sensor("oven")
	apply(t, s, 1, x)
	x.Key = "oven-2"
	apply(t, s, 2, x)
	if _, ok := s.Sensor(acme, "oven"); ok {
		t.Error("the old key still finds it")
	}
	if _, ok := s.Sensor(acme, "oven-2"); !ok {
		t.Error("the new key doesn't find it")
	}
	old := sensor("oven")
	apply(t, s, 1, old)
	if _, ok := s.Sensor(acme, "oven"); ok {
		t.Error("an older version came back")
	}
	e, _ := EntryOf(3, x)
	if err := s.Remove(string(e.Key())); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.SensorByID(x.ID); ok {
		t.Error("removed, yet found by id")
	}
	if _, ok := s.Sensor(acme, "oven-2"); ok {
		t.Error("removed, yet found by key")
	}
}

func TestKeyTakenOverSurvivesFormerOwner(t *testing.T) {
	s := NewStore()
	a, b := sensor("a"), sensor("b")
	apply(t, s, 1, a, b)
	b.Key = "a"
	apply(t, s, 2, b)
	a.Key = "c"
	apply(t, s, 2, a)
	if got, ok := s.Sensor(acme, "a"); !ok || got.ID != b.ID {
		t.Errorf("key a finds %v, want b", got)
	}
}

func TestHostileEntriesChangeNothing(t *testing.T) {
	s := NewStore()
	x := sensor("oven")
	apply(t, s, 1, x)
	for _, e := range []schemas.DirectoryEntry{
		{Kind: KindSensor, ID: x.ID, Version: 2, Data: "{"},
		{Kind: KindSensor, ID: x.ID, Version: 2, Data: "{}"},
		{Kind: KindSensor, ID: plant.NewID(), Version: 2, Data: `{"id":"` + x.ID.String() + `","key":"y"}`},
	} {
		if err := s.Apply(&e); !errors.Is(err, ErrEntry) {
			t.Errorf("%s: %v, want ErrEntry", e.Data, err)
		}
	}
	for _, key := range []string{"", "sensor", "sensor/x", "sensor/x/y", "sensor//"} {
		if err := s.Remove(key); !errors.Is(err, ErrEntry) {
			t.Errorf("remove %q: %v, want ErrEntry", key, err)
		}
	}
	if _, ok := s.Sensor(acme, "oven"); !ok {
		t.Error("the sensor is gone")
	}
}

// TestStoreAgreesWithMap holds the table against a plain map under random
// changes, growth and removal.
func TestStoreAgreesWithMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, want := NewStore(), map[plant.ID]string{}
		version := int64(0)
		n := rapid.IntRange(1, 400).Draw(t, "n")
		for range n {
			version++
			x := sensor(fmt.Sprint("s", rapid.IntRange(0, 90).Draw(t, "id")))
			if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
				e, _ := EntryOf(version, x)
				if err := s.Remove(string(e.Key())); err != nil {
					t.Fatal(err)
				}
				delete(want, x.ID)
				continue
			}
			x.Key = fmt.Sprint(x.Key, "-", version)
			e, _ := EntryOf(version, x)
			if err := s.Apply(&e); err != nil {
				t.Fatal(err)
			}
			want[x.ID] = x.Key
		}
		seen := 0
		for x := range s.Sensors() {
			seen++
			if want[x.ID] != x.Key {
				t.Fatalf("%s has key %q, want %q", x.ID, x.Key, want[x.ID])
			}
			if got, ok := s.Sensor(acme, x.Key); !ok || got != x {
				t.Fatalf("key %q does not find it", x.Key)
			}
		}
		if seen != len(want) {
			t.Fatalf("%d sensors, want %d", seen, len(want))
		}
	})
}

func TestReadersBesideWriter(t *testing.T) {
	s := NewStore()
	stay := sensor("stay")
	apply(t, s, 1, stay)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, ok := s.Sensor(acme, "stay"); !ok {
					t.Error("a sensor that was never touched is not found")
					return
				}
			}
		})
	}
	for i := range 3000 {
		apply(t, s, 1, sensor(fmt.Sprint("x", i)))
		if i%3 == 0 {
			x := sensor(fmt.Sprint("x", i/2))
			e, _ := EntryOf(1, x)
			if err := s.Remove(string(e.Key())); err != nil {
				t.Error(err)
			}
		}
	}
	close(done)
	wg.Wait()
}

func TestLookupsDoNotAllocate(t *testing.T) {
	s := NewStore()
	x := sensor("oven")
	key := NewKey()
	apply(t, s, 1, Tenant{ID: acme, Key: "acme"}, x,
		APIKey{ID: plant.NewID(), Tenant: acme, Public: key.Public, Hash: key.Hash(), Scopes: Scopes()})
	name, id := []byte("oven"), []byte(x.ID.String())
	text, now := key.Reveal(), time.Now()
	if n := testing.AllocsPerRun(100, func() {
		_, a := s.SensorBytes(acme, name)
		_, b := s.SensorBytes(acme, id)
		_, c := s.SensorByID(x.ID)
		_, err := s.Authenticate(text, now)
		if !a || !b || !c || err != nil {
			t.Fatal("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAuthenticate(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	key := NewKey()
	good := APIKey{ID: plant.NewID(), Tenant: acme, Public: key.Public, Hash: key.Hash(), Scopes: []string{ScopeIngest}}
	other := NewKey()
	for _, c := range []struct {
		name   string
		change func(*APIKey, *Tenant)
		given  string
		want   error
	}{
		{"good", func(*APIKey, *Tenant) {}, key.Reveal(), nil},
		{"expires later", func(k *APIKey, _ *Tenant) { k.ExpiresAt = now.UnixMilli() + 1 }, key.Reveal(), nil},
		{"expired", func(k *APIKey, _ *Tenant) { k.ExpiresAt = now.UnixMilli() }, key.Reveal(), ErrKeyExpired},
		{"revoked", func(k *APIKey, _ *Tenant) { k.Revoked = true }, key.Reveal(), ErrKeyRevoked},
		{"suspended", func(_ *APIKey, t *Tenant) { t.Suspended = true }, key.Reveal(), ErrTenantSuspended},
		{"unknown", func(*APIKey, *Tenant) {}, other.Reveal(), ErrKeyUnknown},
		{"another's secret", func(*APIKey, *Tenant) {}, keyPrefix + key.Public + "_" + other.secret, ErrKeyUnknown},
		{"empty", func(*APIKey, *Tenant) {}, "", ErrKeyMalformed},
		{"hidden form", func(*APIKey, *Tenant) {}, key.String(), ErrKeyMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, k, tenant := NewStore(), good, Tenant{ID: acme, Key: "acme"}
			c.change(&k, &tenant)
			apply(t, s, 1, tenant, k)
			p, err := s.Authenticate(c.given, now)
			if !errors.Is(err, c.want) || (err == nil) != (p.Tenant == acme) {
				t.Fatalf("got %v %v, want %v", p, err, c.want)
			}
			if err == nil && (!p.Can(ScopeIngest) || p.Can(ScopeManage)) {
				t.Errorf("scopes %v", p.Scopes)
			}
		})
	}
}

// TestStill: who was let in may stay for as long as its key would let it in.
func TestStill(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	key := NewKey()
	good := APIKey{ID: plant.NewID(), Tenant: acme, Public: key.Public, Hash: key.Hash(), Scopes: []string{ScopeIngest}}
	for name, c := range map[string]struct {
		change func(*APIKey, *Tenant)
		want   error
	}{
		"unchanged": {func(*APIKey, *Tenant) {}, nil},
		"expired":   {func(k *APIKey, _ *Tenant) { k.ExpiresAt = now.UnixMilli() }, ErrKeyExpired},
		"revoked":   {func(k *APIKey, _ *Tenant) { k.Revoked = true }, ErrKeyRevoked},
		"unscoped":  {func(k *APIKey, _ *Tenant) { k.Scopes = nil }, ErrKeyUnknown},
		"suspended": {func(_ *APIKey, t *Tenant) { t.Suspended = true }, ErrTenantSuspended},
	} {
		t.Run(name, func(t *testing.T) {
			s, k, tenant := NewStore(), good, Tenant{ID: acme, Key: "acme"}
			apply(t, s, 1, tenant, k)
			p, err := s.Authenticate(key.Reveal(), now)
			if err != nil {
				t.Fatal(err)
			}
			c.change(&k, &tenant)
			apply(t, s, 2, tenant, k)
			if err := s.Still(p, ScopeIngest, now); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if err := s.Still(Principal{Tenant: acme, KeyID: plant.NewID()}, ScopeIngest, now); !errors.Is(err, ErrKeyUnknown) {
				t.Errorf("a key that is not there: %v", err)
			}
		})
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(NewKey().Reveal())
	f.Add("ff_")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKey(text)
		if err == nil && k.Reveal() != text {
			t.Fatalf("%q parses to %q", text, k.Reveal())
		}
	})
}

func FuzzApply(f *testing.F) {
	x := sensor("oven")
	e, _ := EntryOf(1, x)
	f.Add(e.Kind, e.Data, string(e.Key()))
	f.Add(KindCalendar, `{"id":"`+x.ID.String()+`","key":"c","shifts":[{}]}`, "calendar//")
	f.Fuzz(func(t *testing.T, kind, data, key string) {
		s := NewStore()
		_ = s.Apply(&schemas.DirectoryEntry{Kind: kind, ID: x.ID, Version: 1, Data: data})
		_ = s.Remove(key)
		_, _ = s.Sensor(acme, key)
	})
}

func BenchmarkSensorByKey(b *testing.B) {
	s := NewStore()
	names := make([][]byte, 100_000)
	for i := range names {
		x := sensor(fmt.Sprint("sensor-number-", i))
		names[i] = []byte(x.Key)
		apply(b, s, 1, x)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := s.SensorBytes(acme, names[i%len(names)]); !ok {
			b.Fatal("not found")
		}
		i += 7919
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	s, key := NewStore(), NewKey()
	apply(b, s, 1, Tenant{ID: acme, Key: "acme"}, APIKey{ID: plant.NewID(), Tenant: acme, Public: key.Public, Hash: key.Hash()})
	text, now := key.Reveal(), time.Now()
	for b.Loop() {
		if _, err := s.Authenticate(text, now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBytesPerSensor reports what a sensor costs in memory.
func BenchmarkBytesPerSensor(b *testing.B) {
	const n = 200_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := NewStore()
		v := 1.5
		for i := range n {
			x := sensor(fmt.Sprint("sensor-number-", i))
			x.H, x.HH, x.RangeMin, x.RangeMax = &v, &v, &v, &v
			apply(b, s, 1, x)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "bytes/sensor")
		runtime.KeepAlive(s)
	}
}
