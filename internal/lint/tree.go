package lint

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// Module is the path of the module.
const Module = "github.com/foodflow/foodflow"

// Tree is the files of a repository by their slash-separated path, and its Go
// files parsed.
type Tree struct {
	Files map[string][]byte
	Go    map[string]*Source
	Set   *token.FileSet
}

// Source is one Go file.
type Source struct {
	Path string
	Dir  string
	Test bool
	AST  *ast.File
}

// Fault is a broken rule at a place.
type Fault struct {
	Place   string // path or path:line
	Message string
}

// String is the fault as a line.
func (f Fault) String() string { return f.Place + ": " + f.Message }

// NewTree parses files.
func NewTree(files map[string][]byte) (*Tree, error) {
	t := &Tree{Files: files, Go: map[string]*Source{}, Set: token.NewFileSet()}
	for name, body := range files {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		f, err := parser.ParseFile(t.Set, name, body, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parsing %s: %w", name, err)
		}
		t.Go[name] = &Source{Path: name, Dir: path.Dir(name), Test: strings.HasSuffix(name, "_test.go"), AST: f}
	}
	return t, nil
}

// ReadTree reads what the repository at root tracks, or would track if it were
// added. Outside a git checkout (an unpacked archive) it reads all but hidden
// and built files.
func ReadTree(ctx context.Context, root string) (*Tree, error) {
	names, err := tracked(ctx, root)
	if err != nil {
		if names, err = walk(root); err != nil {
			return nil, err
		}
	}
	files := make(map[string][]byte, len(names))
	for _, name := range names {
		body, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if os.IsNotExist(err) {
			continue // removed, not yet committed
		}
		if err != nil {
			return nil, fmt.Errorf("reading tree: %w", err)
		}
		files[name] = body
	}
	return NewTree(files)
}

func tracked(ctx context.Context, root string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing tracked files: %w", err)
	}
	var names []string
	for name := range bytes.SplitSeq(out, []byte{0}) {
		if len(name) > 0 {
			names = append(names, string(name))
		}
	}
	return names, nil
}

func walk(root string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch rel {
			case ".git", "bin", "data", "node_modules":
				return filepath.SkipDir
			}
			return nil
		}
		names = append(names, filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("walking tree: %w", err)
	}
	return names, nil
}

// sources lists the Go files in order of their paths.
func (t *Tree) sources() []*Source {
	out := make([]*Source, 0, len(t.Go))
	for _, s := range t.Go {
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out
}

// at is the place of a node.
func (t *Tree) at(n ast.Node) string {
	p := t.Set.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// within says whether dir is one of the folders or lies in one.
func within(dir string, folders ...string) bool {
	for _, f := range folders {
		if dir == f || strings.HasPrefix(dir, f+"/") {
			return true
		}
	}
	return false
}
