package lint

import (
	"fmt"
	"go/ast"
	"go/token"
	"strconv"
	"strings"
)

// Variables refuses init functions, and package variables other than errors,
// compiled patterns, embedded files and assertions of an interface. What tests
// share between them (one engine a process) is theirs, and the failpoints of
// internal/fault are the process's by their nature: the environment arms them.
func Variables(t *Tree) []Fault {
	var out []Fault
	for _, s := range t.sources() {
		if s.Test || within(s.Dir, "internal/testkit", "clickhouse/embedded/embeddedtest", "internal/fault") {
			continue
		}
		for _, d := range s.AST.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					out = append(out, Fault{t.at(d), "init runs before anyone asked for it"})
				}
			case *ast.GenDecl:
				if d.Tok != token.VAR {
					continue
				}
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && !allowedVariable(s, d, v) {
						out = append(out, Fault{t.at(v), fmt.Sprintf("package variable %s", v.Names[0].Name)})
					}
				}
			}
		}
	}
	return out
}

// forced says why a package variable that breaks the rule has to be one.
func forced() map[string]string {
	return map[string]string{
		"api.humaErrorsOnce": "huma makes its errors through a package variable of its own, which must be set once",
	}
}

func allowedVariable(s *Source, d *ast.GenDecl, v *ast.ValueSpec) bool {
	if forced()[s.Dir+"."+v.Names[0].Name] != "" {
		return true
	}
	if v.Names[0].Name == "_" || embeds(d.Doc) || embeds(v.Doc) {
		return true
	}
	// version is set by the linker.
	if s.AST.Name.Name == "main" && v.Names[0].Name == "version" {
		return true
	}
	if len(v.Values) == 0 {
		return false
	}
	for _, value := range v.Values {
		call, ok := value.(*ast.CallExpr)
		if !ok {
			return false
		}
		switch name := callee(call); name {
		case "errors.New", "fmt.Errorf", "regexp.MustCompile", "template.Must", "fault.New":
		default:
			return false
		}
	}
	return true
}

func embeds(g *ast.CommentGroup) bool {
	if g == nil {
		return false
	}
	for _, c := range g.List {
		if strings.HasPrefix(c.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// callee names a called function as it stands in the code, "pkg.Name".
func callee(c *ast.CallExpr) string {
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name + "." + sel.Sel.Name
}

// Errors keeps the wording of errors: lower case, what was being done, no
// "failed to".
func Errors(t *Tree) []Fault {
	var out []Fault
	for _, s := range t.sources() {
		ast.Inspect(s.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			if name := callee(call); name != "errors.New" && name != "fmt.Errorf" {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				return true
			}
			for _, start := range []string{"failed to", "unable to", "error ", "could not"} {
				if strings.HasPrefix(strings.ToLower(text), start) {
					out = append(out, Fault{t.at(lit), fmt.Sprintf("error begins with %q: say what was being done", strings.TrimSpace(start))})
				}
			}
			return true
		})
	}
	return out
}
