package embedded

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/foodflow/foodflow/internal/lifecycle"
)

// packageName and packageVersion pin the engine: the official npm package that
// holds libchdb.so for Linux on x86-64.
const (
	packageName    = "@chdb/lib-linux-x64-gnu"
	packageVersion = "26.7.3-stable.1"
)

// Install gives the path of the engine's library under cacheDir, fetching it by
// npm when it isn't there.
func Install(ctx context.Context, cacheDir string, say func(string)) (string, error) {
	home := filepath.Join(cacheDir, "clickhouse-engine", packageVersion)
	err := lifecycle.InstallOnce(home, func(tmp string) (string, error) {
		say("installing the ClickHouse engine " + packageVersion + " (npm package " + packageName + ", about 550 MB on disk)")
		cmd := exec.CommandContext(ctx, "npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", tmp, packageName+"@"+packageVersion)
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("installing the ClickHouse engine by npm: %w: %s", err, strings.TrimSpace(string(out)))
		}
		return tmp, nil
	})
	return filepath.Join(home, "node_modules", filepath.FromSlash(packageName), "libchdb.so"), err
}
