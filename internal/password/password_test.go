package password

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
)

func TestHashAndVerify(t *testing.T) {
	h := New(1, time.Minute)
	hash, err := h.Hash(t.Context(), "a right password")
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.Hash(t.Context(), "a right password")
	if err != nil || again == hash || strings.Contains(hash, "right") {
		t.Fatalf("hashes %q and %q, %v", hash, again, err)
	}
	for clear, want := range map[string]bool{
		"a right password": true, "a wrong password": false, "": false,
		"a right password" + strings.Repeat("x", MaxLength): false,
	} {
		if got, err := h.Verify(t.Context(), hash, clear); err != nil || got != want {
			t.Errorf("%.20q: %v, %v", clear, got, err)
		}
	}
	for _, bad := range []string{"short", strings.Repeat("x", MaxLength+1)} {
		if _, err := h.Hash(t.Context(), bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}

// TestGateBoundsMemory is the memory half of promise S8: however many log in,
// so many hashes are computed at once, and who waits too long is sent away.
func TestGateBoundsMemory(t *testing.T) {
	h := New(2, 50*time.Millisecond)
	var wg sync.WaitGroup
	var most, away atomic.Int64
	for range 40 {
		wg.Go(func() {
			err := h.Waste(t.Context(), "x")
			most.Store(max(most.Load(), int64(len(h.gate))))
			if fault.KindOf(err) == fault.Unavailable {
				away.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() > 2 || away.Load() == 0 {
		t.Errorf("%d at once, %d sent away", most.Load(), away.Load())
	}
	h.gate <- struct{}{}
	h.gate <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Waste(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	hash, err := New(1, time.Minute).Hash(context.Background(), "a right password")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hash)
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=1$AAAA$AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parse(text)
		if err == nil && (p.memory > maxMemoryKiB || p.time > maxPasses || p.time < 1 || p.threads < 1) {
			t.Fatalf("%q asks for %+v", text, p)
		}
	})
}
