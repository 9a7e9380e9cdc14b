package schemas

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/twmb/avro"
)

// A schema of a few hundred bytes can stand for work without bound: each of
// forty records that holds the one before twice makes a million million fields,
// all of them null and no byte long. Schemas of strangers are therefore weighed
// before anything is built from them.
const (
	maxSchemaText   = 1 << 20
	maxSchemaWeight = 4096 // types, each counted as often as it is reached
	maxSchemaDepth  = 64   // types inside types
)

// parse reads a schema that may be a stranger's.
func parse(text string) (*avro.Schema, error) {
	if len(text) > maxSchemaText {
		return nil, fmt.Errorf("schema of %d bytes, at most %d", len(text), maxSchemaText)
	}
	var tree any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return nil, fmt.Errorf("schema is not JSON: %w", err)
	}
	s := scales{named: map[string]load{}}
	s.weigh(tree, "", 0)
	if s.fault != "" {
		return nil, fmt.Errorf("schema %s", s.fault)
	}
	return avro.Parse(text)
}

// load is what a type costs: its parts, and the fewest bytes that a value has.
type load struct{ parts, bytes int }

// scales weigh a schema's tree. What is malformed weighs little: the library
// refuses it afterwards.
type scales struct {
	named map[string]load
	fault string
}

func (s *scales) weigh(node any, space string, depth int) load {
	if depth > maxSchemaDepth {
		s.fault = fmt.Sprintf("nests deeper than %d", maxSchemaDepth)
	}
	if s.fault != "" {
		return load{1, 1}
	}
	var l load
	switch n := node.(type) {
	case string:
		l = s.name(n, space)
	case []any: // a union: one of its branches, after a byte that says which
		l = load{1, 1}
		for _, branch := range n {
			l.parts += s.weigh(branch, space, depth+1).parts
		}
	case map[string]any:
		l = s.object(n, space, depth)
	default:
		l = load{1, 1}
	}
	if l.parts > maxSchemaWeight {
		s.fault = fmt.Sprintf("stands for more than %d types", maxSchemaWeight)
	}
	return l
}

func (s *scales) name(n, space string) load {
	if n == "null" {
		return load{1, 0}
	}
	if l, ok := s.named[fullName(n, space)]; ok {
		return l
	}
	return load{1, 1}
}

func (s *scales) object(n map[string]any, space string, depth int) load {
	name, _ := n["name"].(string)
	if own, ok := n["namespace"].(string); ok {
		space = own
	}
	full := fullName(name, space)
	if i := strings.LastIndexByte(full, '.'); i >= 0 {
		space = full[:i]
	}
	switch n["type"] {
	case "record", "error":
		// Inside itself a record is reached through a union, array or map, each
		// of which takes a byte.
		s.named[full] = load{1, 1}
		l := load{1, 0}
		fields, _ := n["fields"].([]any)
		for _, f := range fields {
			f, _ := f.(map[string]any)
			part := s.weigh(f["type"], space, depth+1)
			l.parts += part.parts
			l.bytes = min(l.bytes+part.bytes, 1)
		}
		s.named[full] = l
		return l
	case "fixed":
		size, _ := n["size"].(float64)
		l := load{1, min(int(size), 1)}
		s.named[full] = l
		return l
	case "enum":
		s.named[full] = load{1, 1}
		return load{1, 1}
	case "array":
		item := s.weigh(n["items"], space, depth+1)
		if item.bytes == 0 {
			s.fault = "has an array of values without bytes"
		}
		return load{1 + item.parts, 1}
	case "map":
		return load{1 + s.weigh(n["values"], space, depth+1).parts, 1}
	}
	return s.weigh(n["type"], space, depth+1)
}
