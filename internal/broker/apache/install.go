package apache

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/foodflow/foodflow/internal/lifecycle"
)

//go:embed pom.xml
var pom []byte

// Version is the release that Install fetches.
const Version = "4.3.1"

// ErrMissing says that the machine lacks what Kafka needs.
var ErrMissing = errors.New("Apache Kafka needs java and mvn: install Debian's packages default-jre-headless and maven")

// Install gives the folder of Kafka's jars under cacheDir, fetching them by
// Maven when they aren't there.
func Install(ctx context.Context, cacheDir string, say func(string)) (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", ErrMissing
	}
	lib := filepath.Join(cacheDir, "kafka", Version)
	err := lifecycle.InstallOnce(lib, func(tmp string) (string, error) {
		if _, err := exec.LookPath("mvn"); err != nil {
			return "", ErrMissing
		}
		say("installing Apache Kafka " + Version + " (Maven packages, about 54 MB)")
		if err := os.WriteFile(filepath.Join(tmp, "pom.xml"), pom, 0o600); err != nil {
			return "", fmt.Errorf("writing pom: %w", err)
		}
		jars := filepath.Join(tmp, "lib")
		cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", filepath.Join(tmp, "pom.xml"), "dependency:copy-dependencies", "-DoutputDirectory="+jars)
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("installing Apache Kafka by Maven: %w: %s", err, strings.TrimSpace(string(out)))
		}
		return jars, nil
	})
	return lib, err
}
