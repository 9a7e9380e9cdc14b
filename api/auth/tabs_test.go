package auth

import (
	"sync"
	"testing"
	"time"
)

// TestTabsOfTwoProcesses is promise S6 as a browser has it behind a balancer:
// five tabs share a log-in, all renew it at about the same time, each through
// another of two api processes, for many lives of a token. Nobody is logged out
// and each round mints one token. Then one of the old tokens is used again, and
// the log-in ends. The control, with a grace that never ends, doesn't notice.
func TestTabsOfTwoProcesses(t *testing.T) {
	w := newWorld(t)
	other := New(w.cfg, w.keys, w.store, w.dir, w.hasher, discard(), w.time)
	const tabs, rounds = 5, 12
	token := w.login().RefreshToken
	var old []string
	doubles, out := 0, 0
	for range rounds {
		old = append(old, token)
		next := map[string]bool{}
		var mu sync.Mutex // guards next and out
		var wg sync.WaitGroup
		for tab := range tabs {
			wg.Go(func() {
				tokens, err := []*Service{w.Service, other}[tab%2].Refresh(t.Context(), token)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					out++
					return
				}
				next[tokens.RefreshToken] = true
			})
		}
		wg.Wait()
		doubles += len(next) - 1
		for token = range next {
		}
		w.pass(w.cfg.Access)
	}
	t.Logf("%d tabs, %d rounds: double mints %d, false log-outs %d", tabs, rounds, doubles, out)
	if doubles != 0 || out != 0 {
		t.Error("a log-in was split or ended")
	}
	w.Service.cfg.Grace = 365 * 24 * time.Hour
	if _, err := w.Refresh(t.Context(), old[3]); err != nil {
		t.Errorf("the control: without an end of grace the old token is refused: %v", err)
	}
	w.Service.cfg.Grace = w.cfg.Grace
	if _, err := w.Refresh(t.Context(), old[3]); !refused(err) {
		t.Errorf("the old token: %v", err)
	}
	if _, err := other.Refresh(t.Context(), token); !refused(err) {
		t.Errorf("the log-in lives on, in the other process: %v", err)
	}
}

// TestTabThatComesLate: a tab that still holds a token which another tab has renewed
// twice meanwhile goes on with the newest, so that what it keeps is no used one.
func TestTabThatComesLate(t *testing.T) {
	w := newWorld(t)
	refresh := func(token string) string {
		t.Helper()
		tokens, err := w.Refresh(t.Context(), token)
		must(t, err)
		return tokens.RefreshToken
	}
	a := w.login().RefreshToken
	c := refresh(refresh(a))
	late := refresh(a)
	w.pass(w.cfg.Grace + time.Second)
	if late != c || refresh(late) == "" {
		t.Error("the late tab goes on with a token that is spent")
	}
}
