package lint_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/lint"
)

// rule is a rule with the tree that breaks it and the beginnings of the faults
// it must find there, in order: its negative control.
type rule struct {
	name   string
	check  func(*lint.Tree) []lint.Fault
	broken map[string]string
	want   []string
}

func rules() []rule {
	long := "package a\n\nfunc f() {\n" + strings.Repeat("\tf()\n", 90) + "}\n"
	return []rule{
		{
			"imports", lint.Imports,
			map[string]string{
				"ingest/a.go":              "package ingest\nimport _ \"" + lint.Module + "/processors/run\"\n",
				"api/a.go":                 "package api\nimport _ \"" + lint.Module + "/ingest\"\nimport _ \"" + lint.Module + "/api/auth\"\n",
				"internal/x/a.go":          "package x\nimport _ \"" + lint.Module + "/api\"\n",
				"internal/x/a_test.go":     "package x\nimport _ \"" + lint.Module + "/api\"\nimport _ \"pgregory.net/rapid\"\n",
				"internal/y/a.go":          "package y\nimport _ \"pgregory.net/rapid\"\nimport _ \"github.com/twmb/avro\"\n",
				"internal/plant/a.go":      "package plant\nimport _ \"" + lint.Module + "/internal/y\"\n",
				"processors/oee/a.go":      "package oee\nimport _ \"sort\"\nimport _ \"" + lint.Module + "/internal/plant\"\nimport _ \"" + lint.Module + "/internal/stream\"\n",
				"processors/anomaly/b.go":  "package anomaly\nimport _ \"golang.org/x/sync/errgroup\"\n",
				"processors/snapshot/b.go": "package snapshot\nimport _ \"github.com/twmb/franz-go/pkg/kgo\"\nimport _ \"github.com/jackc/pgx/v5\"\n",
				"schemas/a.go":             "package schemas\nimport _ \"github.com/twmb/avro\"\n",
			},
			[]string{
				"api/a.go:2: imports " + lint.Module + "/ingest: ingest, processors and api never",
				"ingest/a.go:2: imports " + lint.Module + "/processors/run: ingest, processors and api never",
				"internal/plant/a.go:2: imports " + lint.Module + "/internal/y: plant is the middle",
				"internal/x/a.go:2: imports " + lint.Module + "/api: internal packages never",
				"internal/y/a.go:2: imports pgregory.net/rapid: for tests only",
				"internal/y/a.go:3: imports github.com/twmb/avro: its home is schemas",
				"processors/anomaly/b.go:2: imports golang.org/x/sync/errgroup: the pure core",
				"processors/oee/a.go:4: imports " + lint.Module + "/internal/stream: the pure core",
				"processors/snapshot/b.go:3: imports github.com/jackc/pgx/v5: its home is internal/postgres",
			},
		},
		{
			"folders", lint.Folders,
			map[string]string{"util/a.txt": "", "ingest/a.txt": "", "README.md": "", ".idea/x": ""},
			[]string{".idea: is no folder", "util: is no folder"},
		},
		{
			"docs", lint.Docs,
			map[string]string{
				"ingest/a.go": "package ingest\n", "api/doc.go": "// Package api is.\npackage api\n", "api/a.go": "package api\n",
				"schemas/doc.go": "package schemas\n", "internal/x/a_test.go": "package x\n",
				"internal/y/y.go": "// Package y is alone.\npackage y\n",
				"internal/z/a.go": "// Package z is not alone.\npackage z\n", "internal/z/b.go": "package z\n",
			},
			[]string{"ingest: has no doc.go", "internal/z: has no doc.go", "schemas: has no doc.go"},
		},
		{
			"lengths", lint.Lengths,
			map[string]string{
				"api/a.go": long, "api/b.go": "package a\n" + strings.Repeat("\n", 600), "api/c_test.go": long,
				"api/d_test.go": "package a\n" + strings.Repeat("\n", 600), "api/e.go": "package a\n",
			},
			[]string{"api/a.go:3: f has 92 lines", "api/b.go: has 601 lines", "api/d_test.go: has 601 lines"},
		},
		{
			"lengths: median", lint.Lengths,
			map[string]string{"a/a.go": "package a\n" + strings.Repeat("\n", 130), "a/b.go": "package a\n" + strings.Repeat("\n", 130)},
			[]string{".: half the files have more than 120 lines: 131"},
		},
		{
			"variables", lint.Variables,
			map[string]string{
				"api/a.go": "package api\nimport (\n\"errors\"\n\"regexp\"\n)\nvar errX = errors.New(\"x\")\nvar re = regexp.MustCompile(\"x\")\n" +
					"//go:embed a.txt\nvar files []byte\nvar cache = map[string]int{}\nvar _ = re\nvar n int\nfunc init() {}\nfunc f() { var x int; _ = x }\n",
				"api/a_test.go":         "package api\nvar n int\n",
				"cmd/foodflow/a.go":     "package main\nvar version = \"dev\"\nvar other = \"dev\"\n",
				"internal/testkit/a.go": "package testkit\nvar shared int\n",
			},
			[]string{"api/a.go:10: package variable cache", "api/a.go:12: package variable n", "api/a.go:13: init runs", "cmd/foodflow/a.go:3: package variable other"},
		},
		{
			"errors", lint.Errors,
			map[string]string{"api/a.go": "package api\nimport (\"errors\"; \"fmt\")\nvar a = errors.New(\"failed to open\")\nvar b = fmt.Errorf(\"opening: %w\", a)\nvar c = fmt.Errorf(\"Unable to open\")\n"},
			[]string{"api/a.go:3: error begins with \"failed to\"", "api/a.go:5: error begins with \"unable to\""},
		},
		{
			"metrics", lint.Metrics,
			map[string]string{"api/a.go": `package api
import "github.com/prometheus/client_golang/prometheus"
var (
	a = prometheus.CounterOpts{Name: "foodflow_api_requests_total", Help: "x"}
	b = prometheus.CounterOpts{Name: "foodflow_api_requests", Help: "x"}
	c = prometheus.GaugeOpts{Name: "foodflow_api_things_total", Help: "x"}
	d = prometheus.HistogramOpts{Name: "foodflow_api_request_duration", Help: "x"}
	e = prometheus.HistogramOpts{Name: "foodflow_api_request_ms", Help: "x"}
	f = prometheus.GaugeOpts{Name: "api_things", Help: "x"}
	g = prometheus.GaugeOpts{Name: "foodflow_api_things"}
	h = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_api_x_total", Help: "x"}, []string{"route", "tenant"})
)
`},
			[]string{
				`api/a.go:5: metric "foodflow_api_requests": _total`, `api/a.go:6: metric "foodflow_api_things_total": _total`,
				`api/a.go:7: histogram "foodflow_api_request_duration" names no unit`,
				`api/a.go:8: metric "foodflow_api_request_ms": base units`, `api/a.go:8: histogram`,
				`api/a.go:9: metric "api_things" is not`, `api/a.go:10: metric "foodflow_api_things" has no help`,
				`api/a.go:11: label "tenant" has no bound`,
			},
		},
		{
			"texts", lint.Texts,
			map[string]string{
				"a.md": "see /ro" + "ot/x\nfine: /v1/readings\nas /ho" + "me/alice/src\nfrom https://registry.np" + "mjs.org/x\nhttps://x.artifact" + "ory.example.com/npm\n" +
					"// TO" + "DO: more\nmastodont\n/var/lib/x\nhttps://example.com/api/home/\n",
				"go.sum": "x TO" + "DO\n",
				"b.bin":  "\x00" + strings.Repeat("x", 1<<20), "c.bin": "\x00TO" + "DO",
			},
			[]string{"a.md:1: names a path", "a.md:3: names a path", "a.md:4: names a registry", "a.md:5: names a registry", "a.md:6: holds an open task", "b.bin: is binary"},
		},
	}
}

// The repository keeps every rule.
func TestRepositoryKeepsTheRules(t *testing.T) {
	root := repository(t)
	tree, err := lint.ReadTree(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Go) < 100 {
		t.Fatalf("read only %d Go files of %s", len(tree.Go), root)
	}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range r.check(tree) {
				t.Error(f)
			}
		})
	}
}

// Each rule finds what breaks it, and nothing else.
func TestEachRuleFindsItsFaults(t *testing.T) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			files := map[string][]byte{}
			for name, body := range r.broken {
				files[name] = []byte(body)
			}
			tree, err := lint.NewTree(files)
			if err != nil {
				t.Fatal(err)
			}
			got := r.check(tree)
			for i := range max(len(got), len(r.want)) {
				switch {
				case i >= len(got):
					t.Errorf("missing: %s", r.want[i])
				case i >= len(r.want):
					t.Errorf("extra: %s", got[i])
				case !strings.HasPrefix(got[i].String(), r.want[i]):
					t.Errorf("got %s, want %s…", got[i], r.want[i])
				}
			}
		})
	}
}

// An unpacked archive without git is read too, without what was built.
func TestReadTreeWithoutGit(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{"api/a.go": "package api\n", "bin/x": "x", "a.md": "x"} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := lint.ReadTree(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Files) != 2 || tree.Go["api/a.go"] == nil {
		t.Errorf("read %d files", len(tree.Files))
	}
}

func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return root
}
