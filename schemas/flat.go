package schemas

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A writer's schema is compiled to a list of columns, read by one loop. It must
// be flat: a record whose fields are primitives, enums, fixed, unions of these,
// or arrays and maps of these. Nested and recursive records are refused: by
// them a few bytes of schema can ask for work without bound.
const (
	maxColumns  = 64
	maxBranches = 16
	maxSymbols  = 1024
	maxFixed    = 64 << 10
)

// field is what the reader wants.
type field struct {
	name     string
	takes    func(wire) bool
	required bool // by the writer's schema; else a missing field is its zero
}

// column is a field as the writer's schema has it.
type column struct {
	name   string
	target int // the reader's field, -1: skipped
	union  bool
	types  []wire // one, or the union's branches
}

// compiler keeps the named types met so far.
type compiler struct {
	named map[string]wire
}

// compile fits a writer's schema to the reader's fields.
func compile(schema []byte, fields []field) ([]column, error) {
	var top struct {
		Type      string `json:"type"`
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		Fields    []struct {
			Name string          `json:"name"`
			Type json.RawMessage `json:"type"`
		} `json:"fields"`
	}
	if err := json.Unmarshal(schema, &top); err != nil || top.Type != "record" {
		return nil, fmt.Errorf("%w: it must be a record", ErrContainerSchema)
	}
	if len(top.Fields) > maxColumns {
		return nil, fmt.Errorf("%w: %d fields, at most %d", ErrContainerSchema, len(top.Fields), maxColumns)
	}
	space := top.Namespace
	if i := strings.LastIndexByte(top.Name, '.'); i >= 0 {
		space = top.Name[:i]
	}
	c := compiler{named: map[string]wire{}}
	seen := map[string]bool{}
	out := make([]column, 0, len(top.Fields))
	for _, f := range top.Fields {
		if seen[f.Name] {
			return nil, fmt.Errorf("%w: field %.64q stands twice", ErrContainerSchema, f.Name)
		}
		seen[f.Name] = true
		col := column{name: f.Name, target: -1}
		var err error
		if col.types, col.union, err = c.branches(f.Type, space); err != nil {
			return nil, fmt.Errorf("%w: field %.64q: %w", ErrContainerSchema, f.Name, err)
		}
		for i := range fields {
			if fields[i].name == f.Name {
				col.target = i
				if err := fits(&fields[i], col.types); err != nil {
					return nil, err
				}
			}
		}
		out = append(out, col)
	}
	for _, f := range fields {
		if f.required && !seen[f.name] {
			return nil, fmt.Errorf("%w: field %q is missing", ErrContainerSchema, f.name)
		}
	}
	return out, nil
}

func fits(f *field, types []wire) error {
	for _, t := range types {
		if !f.takes(t) && (t.kind != kindNull || f.required) {
			return fmt.Errorf("%w: field %q can't be a %s", ErrContainerSchema, f.name, t.kind)
		}
	}
	return nil
}

// branches reads the type of a field.
func (c *compiler) branches(raw json.RawMessage, space string) (types []wire, union bool, err error) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		t, err := c.one(raw, space, true)
		return []wire{t}, false, err
	}
	if len(list) == 0 || len(list) > maxBranches {
		return nil, true, fmt.Errorf("a union of %d types, want 1 to %d", len(list), maxBranches)
	}
	for _, r := range list {
		t, err := c.one(r, space, true)
		if err != nil {
			return nil, true, err
		}
		types = append(types, t)
	}
	return types, true, nil
}

// one reads a type that is not a union. nest says whether it may hold items.
func (c *compiler) one(raw json.RawMessage, space string, nest bool) (wire, error) {
	var name string
	if json.Unmarshal(raw, &name) == nil {
		return c.reference(name, space)
	}
	var t struct {
		Type      json.RawMessage `json:"type"`
		Name      string          `json:"name"`
		Namespace *string         `json:"namespace"`
		Logical   string          `json:"logicalType"`
		Symbols   []string        `json:"symbols"`
		Size      int             `json:"size"`
		Items     json.RawMessage `json:"items"`
		Values    json.RawMessage `json:"values"`
	}
	if err := json.Unmarshal(raw, &t); err != nil || json.Unmarshal(t.Type, &name) != nil {
		return wire{}, fmt.Errorf("its type can't be read")
	}
	if t.Namespace != nil {
		space = *t.Namespace
	}
	switch name {
	case "enum":
		if len(t.Symbols) == 0 || len(t.Symbols) > maxSymbols {
			return wire{}, fmt.Errorf("an enum of %d symbols, want 1 to %d", len(t.Symbols), maxSymbols)
		}
		return c.define(t.Name, space, wire{kind: kindEnum, symbols: t.Symbols})
	case "fixed":
		if t.Size < 1 || t.Size > maxFixed {
			return wire{}, fmt.Errorf("a fixed of %d bytes, want 1 to %d", t.Size, maxFixed)
		}
		return c.define(t.Name, space, wire{kind: kindFixed, size: t.Size})
	case "array", "map":
		return c.collection(name, t.Items, t.Values, space, nest)
	case "record", "error":
		return wire{}, fmt.Errorf("a record inside the record")
	}
	w, err := c.reference(name, space)
	w.scale = scaleOf(t.Logical)
	return w, err
}

func (c *compiler) collection(name string, items, values json.RawMessage, space string, nest bool) (wire, error) {
	if !nest {
		return wire{}, fmt.Errorf("a collection of collections")
	}
	kind, raw := kindArray, items
	if name == "map" {
		kind, raw = kindMap, values
	}
	item, err := c.one(raw, space, false)
	if err != nil {
		return wire{}, err
	}
	if item.kind == kindNull {
		return wire{}, fmt.Errorf("a collection of nulls")
	}
	return wire{kind: kind, item: &item}, nil
}

// define names a type for later references.
func (c *compiler) define(name, space string, w wire) (wire, error) {
	full := fullName(name, space)
	if _, ok := c.named[full]; ok || name == "" {
		return wire{}, fmt.Errorf("type %.64q is defined twice or has no name", full)
	}
	c.named[full] = w
	return w, nil
}

func (c *compiler) reference(name, space string) (wire, error) {
	if k, ok := primitive(name); ok {
		return wire{kind: k, scale: 1}, nil
	}
	if w, ok := c.named[fullName(name, space)]; ok {
		return w, nil
	}
	return wire{}, fmt.Errorf("type %.64q is not known here", name)
}

func fullName(name, space string) string {
	if space == "" || strings.Contains(name, ".") {
		return name
	}
	return space + "." + name
}

// scaleOf gives how many of a logical type's units make a millisecond.
func scaleOf(logical string) int64 {
	switch logical {
	case "timestamp-micros":
		return 1_000
	case "timestamp-nanos":
		return 1_000_000
	}
	return 1
}
