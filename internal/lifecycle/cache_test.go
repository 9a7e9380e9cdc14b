package lifecycle

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// TestInstallOnce installs from several goroutines, each as a process would: the
// first that fails leaves nothing behind, one of the others fills the folder, and
// all of them find it whole.
func TestInstallOnce(t *testing.T) {
	home := filepath.Join(t.TempDir(), "engine", "1.0")
	broken := errors.New("no network")
	err := InstallOnce(home, func(tmp string) (string, error) {
		if err := os.WriteFile(filepath.Join(tmp, "half"), nil, 0o600); err != nil {
			t.Error(err)
		}
		return "", broken
	})
	if _, missing := os.Stat(home); !errors.Is(err, broken) || !os.IsNotExist(missing) {
		t.Fatalf("a failed installation gives %v and leaves the folder: %v", err, missing)
	}
	var fills atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := InstallOnce(home, func(tmp string) (string, error) {
				fills.Add(1)
				part := filepath.Join(tmp, "part")
				if err := os.Mkdir(part, 0o755); err != nil {
					return "", err
				}
				return part, os.WriteFile(filepath.Join(part, "lib"), []byte("x"), 0o600)
			})
			if b, lost := os.ReadFile(filepath.Join(home, "lib")); err != nil || lost != nil || string(b) != "x" {
				t.Errorf("installed with %v, and the library holds %q (%v)", err, b, lost)
			}
		})
	}
	wg.Wait()
	left, err := filepath.Glob(filepath.Join(filepath.Dir(home), "installing-*"))
	if fills.Load() != 1 || err != nil || len(left) > 0 {
		t.Errorf("filled %d times, left behind: %v, %v", fills.Load(), left, err)
	}
}
