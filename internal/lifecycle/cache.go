package lifecycle

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// CacheDir is where engines are installed: FOODFLOW_CACHE_DIR, or a folder of
// the user's own cache.
func CacheDir() (string, error) {
	if dir := os.Getenv("FOODFLOW_CACHE_DIR"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder: %w", err)
	}
	return filepath.Join(dir, "foodflow"), nil
}

// InstallOnce makes the folder home by fill, unless it is there already.
// Processes that install at once do it one after the other; a torn
// installation is never seen, because the folder that fill gives, tmp or one
// below it, gets its name only when it is whole.
func InstallOnce(home string, fill func(tmp string) (whole string, err error)) error {
	if _, err := os.Stat(home); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return fmt.Errorf("making cache folder: %w", err)
	}
	f, err := os.OpenFile(home+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("opening install lock: %w", err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("waiting for another install: %w", err)
	}
	if _, err := os.Stat(home); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(filepath.Dir(home), "installing-")
	if err != nil {
		return fmt.Errorf("making install folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	whole, err := fill(tmp)
	if err != nil {
		return err
	}
	if err := os.Rename(whole, home); err != nil {
		return fmt.Errorf("naming install folder: %w", err)
	}
	return nil
}
