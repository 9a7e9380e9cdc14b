package lint

import (
	"bytes"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"
)

// maxBinary is the most that a tracked file which is no text may weigh; a clone
// carries each version of it for ever.
const maxBinary = 1 << 20

// Patterns of what ties a file to one machine or one network. They are put
// together from pieces so that this file doesn't contain what it looks for.
var (
	machinePath  = regexp.MustCompile(`(^|[\s"'=(:` + "`" + `])/(` + `root|wo` + `rk|ho` + `me/[a-z]+|Us` + `ers/[A-Za-z]+)/`)
	registryHost = regexp.MustCompile(`(?i)\b(registry\.np` + `mjs\.org|repo1?\.ma` + `ven\.(apache\.)?org|proxy\.go` + `lang\.org|py` + `pi\.org|[a-z0-9.-]*(artifact` + `ory|jfr` + `og|nex` + `us)[a-z0-9-]*\.[a-z0-9.-]+)`)
	openTask     = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)
)

// Texts looks into every tracked file.
func Texts(t *Tree) []Fault {
	names := make([]string, 0, len(t.Files))
	for name := range t.Files {
		names = append(names, name)
	}
	sort.Strings(names)
	var out []Fault
	for _, name := range names {
		body := t.Files[name]
		if !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0 {
			if len(body) > maxBinary {
				out = append(out, Fault{name, fmt.Sprintf("is binary and weighs %d bytes, more than %d", len(body), maxBinary)})
			}
			continue
		}
		if name == "go.sum" {
			continue // module paths, of which none is ours to choose
		}
		number := 0
		for line := range strings.SplitSeq(string(body), "\n") {
			number++
			for _, rule := range []struct {
				pattern *regexp.Regexp
				message string
			}{
				{machinePath, "names a path of one machine"},
				{registryHost, "names a registry's host: leave it to the client's configuration"},
				{openTask, "holds an open task: open an issue"},
			} {
				if rule.pattern.MatchString(line) {
					out = append(out, Fault{fmt.Sprintf("%s:%d", name, number), rule.message})
				}
			}
		}
	}
	return out
}
