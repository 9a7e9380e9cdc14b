package auth

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/foodflow/foodflow/internal/fault"
)

// TestWithoutGraceTabsLogOut is the control of TestRefreshRotates: without the
// grace window, tabs that refresh at once end their own log-in.
func TestWithoutGraceTabsLogOut(t *testing.T) {
	w := newWorld(t)
	token := w.login().RefreshToken
	w.Service.cfg.Grace = -1
	var out atomic.Int64
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if _, err := w.Refresh(t.Context(), token); err != nil {
				out.Add(1)
			}
		})
	}
	wg.Wait()
	if out.Load() != 4 {
		t.Errorf("%d of 5 tabs were logged out, want 4: the grace window is not what keeps them", out.Load())
	}
}

// TestThrottleHoldsAtOnce (S10): ten times as many wrong log-ins as an account or
// a source may have, all at once, get no more tries than the limit; another source
// goes on. The control counts failures when they are known and lets more through.
func TestThrottleHoldsAtOnce(t *testing.T) {
	w := newWorld(t)
	var accounts, sources int64
	flood := func(n int, account func(i int) string, source string) int64 {
		var tried atomic.Int64
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				switch _, err := w.Login(t.Context(), account(i), "a wrong password", source); {
				case refused(err):
					tried.Add(1)
				case fault.KindOf(err) != fault.RateLimited:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return tried.Load()
	}
	limit := w.cfg.Failures
	accounts = flood(10*limit, func(int) string { return "one@acme.example" }, "10.0.0.65")
	w.Service = New(w.cfg, w.keys, w.store, w.dir, w.hasher, discard(), w.time)
	sources = flood(50*limit, func(i int) string { return "nobody" + strconv.Itoa(i) + "@acme.example" }, "10.0.0.66")
	t.Logf("ten times the limit at once: tries over the limit: %d of an account, %d of a source", accounts-int64(limit), sources-int64(5*limit))
	if accounts != int64(limit) || sources != int64(5*limit) {
		t.Errorf("an account had %d tries of %d, a source %d of %d", accounts, limit, sources, 5*limit)
	}
	if _, err := w.Login(t.Context(), email, clear, "10.0.0.66"); fault.KindOf(err) != fault.RateLimited {
		t.Errorf("the source goes on: %v", err)
	}
	if _, err := w.Login(t.Context(), email, clear, "10.0.0.67"); err != nil {
		t.Error("another source: ", err)
	}
	w.accounts = newThrottle(1000*limit, w.cfg.Window)
	if n := flood(10*limit, func(int) string { return "two@acme.example" }, "10.0.0.68"); n <= int64(limit) {
		t.Errorf("the control: without the limit %d are tried", n)
	}
}
