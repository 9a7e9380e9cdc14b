package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"path"
	"slices"
	"sort"
	"strings"
)

// The lengths that are too long.
const (
	maxFile     = 500
	maxFunction = 80
	maxMedian   = 120
)

// Folders keeps the list of top-level folders.
func Folders(t *Tree) []Fault {
	allowed := []string{
		"cmd", "internal", "ingest", "processors", "api", "schemas", "migrations", "clickhouse", "deploy",
		".ci", ".github",
	}
	found := map[string]bool{}
	for name := range t.Files {
		if top, _, ok := strings.Cut(name, "/"); ok && !slices.Contains(allowed, top) {
			found[top] = true
		}
	}
	var out []Fault
	for top := range found {
		out = append(out, Fault{top, "is no folder of the design"})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Place < out[j].Place })
	return out
}

// Docs asks each package for a doc.go that holds the package comment; a package
// of a single file may hold it there.
func Docs(t *Tree) []Fault {
	packages := map[string][]*Source{}
	for _, s := range t.sources() {
		if !s.Test {
			packages[s.Dir] = append(packages[s.Dir], s)
		}
	}
	var out []Fault
	for dir, files := range packages {
		if single := len(files) == 1 && files[0].AST.Doc != nil; !single && !hasDoc(t, dir) {
			out = append(out, Fault{dir, "has no doc.go with a package comment"})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Place < out[j].Place })
	return out
}

// hasDoc says whether a folder's doc.go holds a package comment.
func hasDoc(t *Tree, dir string) bool {
	s := t.Go[path.Join(dir, "doc.go")]
	return s != nil && s.AST.Doc != nil
}

// Lengths bounds files and functions. Tests may be as long as files, and their
// functions too: a table of cases is read from top to bottom.
func Lengths(t *Tree) []Fault {
	var out []Fault
	var lengths []int
	for _, s := range t.sources() {
		n := bytes.Count(t.Files[s.Path], []byte("\n"))
		if n > maxFile {
			out = append(out, Fault{s.Path, fmt.Sprintf("has %d lines, more than %d", n, maxFile)})
		}
		if s.Test {
			continue
		}
		lengths = append(lengths, n)
		for _, d := range s.AST.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if n := t.Set.Position(f.End()).Line - t.Set.Position(f.Pos()).Line + 1; n > maxFunction {
				out = append(out, Fault{t.at(f), fmt.Sprintf("%s has %d lines, more than %d", f.Name.Name, n, maxFunction)})
			}
		}
	}
	slices.Sort(lengths)
	if n := len(lengths); n > 0 && lengths[n/2] > maxMedian {
		out = append(out, Fault{".", fmt.Sprintf("half the files have more than %d lines: %d", maxMedian, lengths[n/2])})
	}
	return out
}
