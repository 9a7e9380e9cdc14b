package httpin

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

func chapter(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// demoDoor is the door of the demo plant.
func demoDoor(t *testing.T) (addr, key string) {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	store, k, p := directory.NewStore(), directory.NewKey(), demo.Describe()
	things := []any{p.Tenant, directory.APIKey{ID: plant.NewID(), Tenant: p.Tenant.ID, Public: k.Public, Hash: k.Hash(), Scopes: []string{directory.ScopeIngest}}}
	for _, l := range p.Lines {
		things = append(things, l.Line)
		for _, s := range l.Sensors {
			things = append(things, s.Sensor)
		}
	}
	if err := directorytest.Enter(store, things...); err != nil {
		t.Fatal(err)
	}
	svc, err := ingest.NewService(store, codec, &sink{}, ingest.DefaultLimits(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := New(DefaultConfig(), svc, slog.New(slog.DiscardHandler))
	if err := s.Start(t.Context(), func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return s.Addr(), k.Reveal()
}

// TestChapterExamples runs every example of the chapter for producers and holds
// the statuses that it names.
func TestChapterExamples(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "gzip"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("REQUIRE_SERVICES") != "" {
				t.Fatal(err)
			}
			t.Skip("needs ", tool)
		}
	}
	addr, key := demoDoor(t)
	dir := t.TempDir()
	d := newDoor(t)
	file := avroFileOf(t, demo.HandThermometer, d.now, 2)
	if err := os.WriteFile(filepath.Join(dir, "readings.avro"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	const prelude = "curl() { command curl -sS -o answer.json -w '%{http_code}\\n' \"$@\"; }\n"
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(chapter(t), -1)
	if len(blocks) < 5 {
		t.Fatalf("%d examples were found", len(blocks))
	}
	named := regexp.MustCompile(`# answers (\d+)`)
	for i, b := range blocks {
		var want []string
		for _, m := range named.FindAllStringSubmatch(b[1], -1) {
			want = append(want, m[1])
		}
		if n := strings.Count(b[1], "curl "); n != len(want) {
			t.Errorf("example %d has %d calls and names %d answers", i, n, len(want))
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", prelude+b[1])
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "INGEST=http://"+addr, "KEY="+key)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("example %d: %v: %s", i, err, out)
		}
		if got := strings.Fields(string(out)); !slices.Equal(got, want) {
			last, _ := os.ReadFile(filepath.Join(dir, "answer.json")) // for the message only
			t.Errorf("example %d answers %v, the chapter says %v: %s\n%s", i, got, want, last, b[1])
		}
	}
}

// TestChapterRules holds the table of rules against the code, both ways.
func TestChapterRules(t *testing.T) {
	inCode := map[string]bool{}
	var files []string
	for _, pattern := range []string{"../*.go", "*.go", "../../internal/intake/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	uses := regexp.MustCompile(`[^.]refuse\((?:"[a-z]+"|[^"\n]*), "([a-z_]+)"|b\.refuse\(\w+, "[a-z]+", "([a-z_]+)"|Rule: "([a-z_]+)"|return "([a-z_]+)", "`)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range uses.FindAllStringSubmatch(string(text), -1) {
			inCode[strings.Join(m[1:], "")] = true
		}
	}
	_, table, _ := strings.Cut(chapter(t), "| rule | |")
	table, _, _ = strings.Cut(table, "\n\n")
	inChapter := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		inChapter[m[1]] = true
	}
	if len(inCode) < 10 || !maps.Equal(inCode, inChapter) {
		t.Errorf("the code has %v,\nthe chapter %v", slices.Sorted(maps.Keys(inCode)), slices.Sorted(maps.Keys(inChapter)))
	}
}

// TestChapterLimits holds the limits that the chapter names.
func TestChapterLimits(t *testing.T) {
	l, c, text := ingest.DefaultLimits(), DefaultConfig(), chapter(t)
	for _, row := range []string{
		fmt.Sprintf("| body as sent | %d MiB |", l.Body>>20),
		fmt.Sprintf("| body decompressed | %d MiB |", l.Decoded>>20),
		fmt.Sprintf("| items a request | %d |", l.Items),
		fmt.Sprintf("| a request's time to arrive | %.0f s |", c.ReadTimeout.Seconds()),
		fmt.Sprintf("| connections a process | %d |", c.Connections),
		fmt.Sprintf("lists the first %d.", l.Errors),
		fmt.Sprintf("by more than %.0f minutes", l.Bounds.Future.Minutes()),
		fmt.Sprintf("(%.0f days)", l.Bounds.Past.Hours()/24),
		fmt.Sprintf("(at most %d bytes)", maxKey),
	} {
		if !strings.Contains(text, row) {
			t.Errorf("the chapter does not say %q", row)
		}
	}
	if c.KeyTTL.Minutes() != 10 || l.Quotas.Window.Seconds() != 5 || l.Quotas.TenantShare != 0.5 {
		t.Error("the chapter says ten minutes for keys, five seconds for quotas, half of the bytes for a tenant")
	}
}
