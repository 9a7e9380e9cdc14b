package auth

import (
	"sync"
	"sync/atomic"
	"testing"
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

// TestThrottleIsBySourceToo: one address that tries ever new accounts is sent
// away as well, and another address is not.
func TestThrottleIsBySourceToo(t *testing.T) {
	w := newWorld(t)
	limit := w.cfg.Failures * 5
	for i := range limit {
		w.failed(string(rune('a'+i%26))+"@"+string(rune('a'+i/26))+".example", "10.0.0.66")
	}
	if wait := w.sources.wait("10.0.0.66", w.time()); wait <= 0 {
		t.Error("the source goes on")
	}
	if wait := w.sources.wait("10.0.0.67", w.time()); wait > 0 {
		t.Errorf("another source waits %v", wait)
	}
	if _, err := w.Login(t.Context(), email, clear, "10.0.0.67"); err != nil {
		t.Error(err)
	}
}
