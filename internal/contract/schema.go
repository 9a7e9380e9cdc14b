package contract

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// resolve follows a reference within its document.
func resolve(doc, s map[string]any) map[string]any {
	ref, ok := s["$ref"].(string)
	if !ok {
		return s
	}
	at := doc
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at = object(at, part)
	}
	return at
}

// pair resolves both sides; false when this pair is being compared already, as
// in a schema that holds itself.
func (c *comparison) pair(where string, a, b map[string]any) (x, y map[string]any, fresh bool) {
	key := fmt.Sprint(a["$ref"], " ", b["$ref"])
	if a["$ref"] != nil && b["$ref"] != nil {
		if c.seen[key+where] || len(where) > 400 {
			return nil, nil, false
		}
		c.seen[key+where] = true
	}
	return resolve(c.was, a), resolve(c.is, b), true
}

// types gives the types that a schema allows; nil: any.
func types(s map[string]any) []string {
	switch t := s["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var out []string
		for _, v := range t {
			out = append(out, fmt.Sprint(v))
		}
		return out
	}
	return nil
}

// covers says whether every type of inner is one of outer; an integer is a
// number.
func covers(outer, inner []string) bool {
	if outer == nil {
		return true
	}
	if inner == nil {
		return false
	}
	for _, t := range inner {
		if !slices.Contains(outer, t) && !(t == "integer" && slices.Contains(outer, "number")) {
			return false
		}
	}
	return true
}

// input compares what may be sent: the new schema must take all that the old
// one took.
func (c *comparison) input(where string, a, b map[string]any) {
	x, y, fresh := c.pair(where, a, b)
	if !fresh {
		return
	}
	if !covers(types(y), types(x)) {
		c.add("%s takes %v, no longer %v", where, types(y), types(x))
		return
	}
	c.narrowed(where, x, y)
	old, now := object(x, "properties"), object(y, "properties")
	for _, name := range slices.Sorted(maps.Keys(old)) {
		p, ok := now[name].(map[string]any)
		if !ok {
			if y["additionalProperties"] == false {
				c.add("%s.%s is not taken any more", where, name)
			}
			continue
		}
		q, _ := old[name].(map[string]any)
		c.input(where+"."+name, q, p)
	}
	for _, name := range list(y, "required") {
		if !slices.Contains(list(x, "required"), name) {
			c.add("%s.%v is newly required", where, name)
		}
	}
	if x["items"] != nil && y["items"] != nil {
		c.input(where+"[]", object(x, "items"), object(y, "items"))
	}
}

// narrowed names values that the old schema took and the new one doesn't.
func (c *comparison) narrowed(where string, x, y map[string]any) {
	if now := list(y, "enum"); now != nil {
		was := list(x, "enum")
		if was == nil {
			c.add("%s takes only %v now", where, now)
		}
		for _, v := range was {
			if !slices.Contains(now, v) {
				c.add("%s does not take %v any more", where, v)
			}
		}
	}
	for _, bound := range []struct {
		name  string
		lower bool
	}{{"minimum", true}, {"exclusiveMinimum", true}, {"minLength", true}, {"minItems", true}, {"maximum", false}, {"exclusiveMaximum", false}, {"maxLength", false}, {"maxItems", false}} {
		now, ok := y[bound.name].(float64)
		if !ok {
			continue
		}
		was, had := x[bound.name].(float64)
		if !had && !(bound.lower && now <= 0 && strings.HasSuffix(bound.name, "Length")) || had && (bound.lower && now > was || !bound.lower && now < was) {
			c.add("%s has a narrower %s", where, bound.name)
		}
	}
	for _, form := range []string{"pattern", "format"} {
		if now, ok := y[form].(string); ok && x[form] != now {
			c.add("%s must have the %s %s now", where, form, now)
		}
	}
	if x["additionalProperties"] != false && y["additionalProperties"] == false && x["properties"] != nil {
		c.add("%s takes no other fields any more", where)
	}
}

// output compares what is read: the new schema must keep all that the old one
// promised.
func (c *comparison) output(where string, a, b map[string]any) {
	x, y, fresh := c.pair(where, a, b)
	if !fresh {
		return
	}
	if !covers(types(x), types(y)) {
		c.add("%s has type %v, not %v any more", where, types(y), types(x))
		return
	}
	old, now := object(x, "properties"), object(y, "properties")
	for _, name := range slices.Sorted(maps.Keys(old)) {
		p, ok := now[name].(map[string]any)
		if !ok {
			c.add("%s.%s is gone", where, name)
			continue
		}
		if slices.Contains(list(x, "required"), any(name)) && !slices.Contains(list(y, "required"), any(name)) {
			c.add("%s.%s may be missing now", where, name)
		}
		q, _ := old[name].(map[string]any)
		c.output(where+"."+name, q, p)
	}
	if x["items"] != nil {
		c.output(where+"[]", object(x, "items"), object(y, "items"))
	}
	if x["format"] != nil && x["format"] != y["format"] {
		c.add("%s has not the format %v any more", where, x["format"])
	}
}
