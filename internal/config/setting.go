package config

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// prefix begins the names of our variables.
const prefix = "FOODFLOW_"

// Setting is a flag of one command as the other layers name it.
type Setting struct {
	// Command is the command's path, "tenants create"; "" is every command.
	Command string
	Flag    string // without dashes in front
	Key     string // in the file: kafka.brokers
	Env     string
	Help    string
	Default string
	Enum    string
	Type    string // Go's name of it
	Secret  bool
	Hidden  bool // belongs to a command that users don't call
	flag    *kong.Flag
}

// settings lists the flags of an application that can be configured, those of
// every command first, in the order of declaration.
func settings(app *kong.Application) []Setting {
	var out []Setting
	var walk func(n *kong.Node, command string, hidden bool)
	walk = func(n *kong.Node, command string, hidden bool) {
		for _, f := range n.Flags {
			if f.Name == "help" || f.Name == "config" {
				continue
			}
			out = append(out, Setting{
				Command: command, Flag: f.Name, Key: keyOf(f), Env: variable(f.Name), Help: f.Help, Default: f.Default, Enum: f.Enum,
				Type: f.Target.Type().String(), Secret: f.Tag.Has("secret"), Hidden: hidden || f.Hidden, flag: f,
			})
		}
		for _, c := range n.Children {
			walk(c, strings.TrimSpace(command+" "+c.Name), hidden || c.Hidden)
		}
	}
	walk(app.Node, "", false)
	unite(out)
	return out
}

// unite gives flags of one name one key: that with the deepest sections.
func unite(all []Setting) {
	best := map[string]string{}
	for _, s := range all {
		if have, ok := best[s.Flag]; !ok || strings.Count(s.Key, ".") > strings.Count(have, ".") {
			best[s.Flag] = s.Key
		}
	}
	for i := range all {
		all[i].Key = best[all[i].Flag]
	}
}

// keyOf is the flag's key: the prefixes of the structs it lies in are sections.
func keyOf(f *kong.Flag) string {
	section := strings.ReplaceAll(f.Tag.Prefix, "-", ".")
	return section + strings.ReplaceAll(strings.TrimPrefix(f.Name, f.Tag.Prefix), "-", "_")
}

func variable(flag string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// flagOf undoes keyOf, however the key was parted.
func flagOf(key string) string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(key)
}

// nearest gives the candidate that is most like name, or "" when none is.
func nearest(name string, candidates []string) string {
	best, least := "", max(2, len(name)/3)+1
	slices.Sort(candidates)
	for _, c := range candidates {
		if d := distance(name, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
