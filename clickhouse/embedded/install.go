package embedded

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// packageName and packageVersion pin the engine: the official npm package that
// holds libchdb.so for Linux on x86-64.
const (
	packageName    = "@chdb/lib-linux-x64-gnu"
	packageVersion = "26.7.3-stable.1"
)

// Install gives the path of the engine's library under cacheDir, fetching it by
// npm when it isn't there. Two processes that install at once do it one after
// the other; a torn install is never seen, because the folder gets its name
// only when it is whole.
func Install(ctx context.Context, cacheDir string, say func(string)) (string, error) {
	home := filepath.Join(cacheDir, "clickhouse-engine", packageVersion)
	lib := filepath.Join(home, "node_modules", filepath.FromSlash(packageName), "libchdb.so")
	if _, err := os.Stat(lib); err == nil {
		return lib, nil
	}
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return "", fmt.Errorf("making cache folder: %w", err)
	}
	f, err := os.OpenFile(home+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", fmt.Errorf("opening install lock: %w", err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("waiting for another install: %w", err)
	}
	if _, err := os.Stat(lib); err == nil {
		return lib, nil
	}
	say("installing the ClickHouse engine " + packageVersion + " (npm package " + packageName + ", about 550 MB on disk)")
	tmp, err := os.MkdirTemp(filepath.Dir(home), "installing-")
	if err != nil {
		return "", fmt.Errorf("making install folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	cmd := exec.CommandContext(ctx, "npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", tmp, packageName+"@"+packageVersion)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing the ClickHouse engine by npm: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(tmp, home); err != nil {
		return "", fmt.Errorf("naming install folder: %w", err)
	}
	return lib, nil
}
