package clients

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/internal/lifecycle"
)

// client is one language's client: how it is installed into a folder, and how
// its checks run from there.
type client struct {
	name    string
	tool    string // must be on the machine
	version string // names the folder, so that a new pin is a new install
	install [][]string
	command []string
	env     []string
}

// fill puts folder, host and database into a command's words.
func fill(words []string, dir string, u *url.URL, db string) []string {
	host, port, _ := strings.Cut(u.Host, ":")
	r := strings.NewReplacer("{dir}", dir, "{host}", host, "{port}", port, "{db}", db)
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = r.Replace(w)
	}
	return out
}

func TestClients(t *testing.T) {
	for _, c := range []client{
		{
			name: "node", tool: "npm", version: "1.23.1",
			install: [][]string{{"npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", "{dir}", "@clickhouse/client@1.23.1"}},
			command: []string{"node", "node/check.mjs", "http://{host}:{port}", "{db}"},
			env:     []string{"CLIENT_DIR={dir}"},
		},
		{
			name: "python", tool: "python3", version: "1.12.0",
			install: [][]string{
				{"python3", "-m", "venv", "{dir}/venv"},
				{"{dir}/venv/bin/pip", "install", "-q", "--disable-pip-version-check", "clickhouse-connect==1.12.0", "brotli"},
			},
			command: []string{"{dir}/venv/bin/python", "python/check.py", "{host}", "{port}", "{db}"},
		},
		{
			name: "jdbc", tool: "mvn", version: "0.10.0",
			install: [][]string{{"mvn", "-q", "-B", "-f", "java/pom.xml", "dependency:copy-dependencies", "-DoutputDirectory={dir}/lib"}},
			command: []string{"java", "-cp", "{dir}/lib/*", "java/Check.java", "{host}:{port}", "{db}"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			base, db := embeddedtest.Start(t), embeddedtest.Database(t)
			u, err := url.Parse(base)
			if err != nil {
				t.Fatal(err)
			}
			dir, err := c.ensure(t.Context(), u)
			if err != nil {
				if os.Getenv("REQUIRE_SERVICES") == "" {
					t.Skipf("no %s client: %v", c.name, err)
				}
				t.Fatalf("installing the %s client: %v", c.name, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			words := fill(c.command, dir, u, db)
			cmd := exec.CommandContext(ctx, words[0], words[1:]...)
			cmd.Env = append(os.Environ(), fill(c.env, dir, u, db)...)
			var errors strings.Builder
			cmd.Stderr = &errors
			out, err := cmd.Output()
			passed := report(t, string(out))
			if err != nil && !t.Failed() {
				t.Fatalf("%v\n%s", err, errors.String())
			}
			if passed == 0 {
				t.Fatalf("no check ran:\n%s\n%s", out, errors.String())
			}
		})
	}
}

// report makes a subtest of each check the client printed.
func report(t *testing.T, out string) (passed int) {
	for part := range strings.SplitSeq("\n"+out, "\nok ") {
		name, failure, bad := strings.Cut(part, "\nFAIL ")
		if name = strings.TrimSpace(name); name != "" {
			passed++
		}
		if bad {
			t.Errorf("%s", failure)
		}
	}
	return passed
}

// ensure installs the client unless it is there. The folder gets its name only
// when it is whole; a lock keeps two test processes apart.
func (c client) ensure(ctx context.Context, u *url.URL) (string, error) {
	for _, tool := range []string{c.tool, c.command[0]} {
		if strings.HasPrefix(tool, "{") {
			continue
		}
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("looking for %s: %w", tool, err)
		}
	}
	cache, err := lifecycle.CacheDir()
	if err != nil {
		return "", fmt.Errorf("finding cache folder: %w", err)
	}
	dir := filepath.Join(cache, "clickhouse-clients", c.name+"-"+c.version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making client folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", fmt.Errorf("opening install lock: %w", err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("waiting for another install: %w", err)
	}
	whole := filepath.Join(dir, "whole")
	if _, err := os.Stat(whole); err == nil {
		return dir, nil
	}
	for _, step := range c.install {
		words := fill(step, dir, u, "")
		if out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("running %s: %w: %s", words[0], err, out)
		}
	}
	if err := os.WriteFile(whole, nil, 0o644); err != nil {
		return "", fmt.Errorf("marking the install whole: %w", err)
	}
	return dir, nil
}
