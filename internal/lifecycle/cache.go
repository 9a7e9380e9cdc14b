package lifecycle

import (
	"fmt"
	"os"
	"path/filepath"
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
