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
	"syscall"
)

//go:embed pom.xml
var pom []byte

// Version is the release that Install fetches.
const Version = "4.3.1"

// ErrMissing says that the machine lacks what Kafka needs.
var ErrMissing = errors.New("Apache Kafka needs java and mvn: install Debian's packages default-jre-headless and maven")

// Install gives the folder of Kafka's jars under cacheDir, fetching them by
// Maven when they aren't there. The folder gets its name only when it is whole.
func Install(ctx context.Context, cacheDir string, say func(string)) (string, error) {
	lib := filepath.Join(cacheDir, "kafka", Version)
	if _, err := exec.LookPath("java"); err != nil {
		return "", ErrMissing
	}
	if _, err := os.Stat(lib); err == nil {
		return lib, nil
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		return "", ErrMissing
	}
	if err := os.MkdirAll(filepath.Dir(lib), 0o755); err != nil {
		return "", fmt.Errorf("making cache folder: %w", err)
	}
	f, err := os.OpenFile(lib+".lock", os.O_CREATE|os.O_RDWR, 0o644)
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
	say("installing Apache Kafka " + Version + " (Maven packages, about 54 MB)")
	tmp, err := os.MkdirTemp(filepath.Dir(lib), "installing-")
	if err != nil {
		return "", fmt.Errorf("making install folder: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := os.WriteFile(filepath.Join(tmp, "pom.xml"), pom, 0o600); err != nil {
		return "", fmt.Errorf("writing pom: %w", err)
	}
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", filepath.Join(tmp, "pom.xml"), "dependency:copy-dependencies", "-DoutputDirectory="+filepath.Join(tmp, "lib"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing Apache Kafka by Maven: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(filepath.Join(tmp, "lib"), lib); err != nil {
		return "", fmt.Errorf("naming install folder: %w", err)
	}
	return lib, nil
}
