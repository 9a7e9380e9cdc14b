package contract

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Breaks names what in after breaks the clients of before, in order of the
// routes; both are documents as JSON decodes them.
func Breaks(before, after map[string]any) []string {
	c := &comparison{was: before, is: after}
	old, now := object(before, "paths"), object(after, "paths")
	for _, path := range slices.Sorted(maps.Keys(old)) {
		for _, method := range slices.Sorted(maps.Keys(object(old, path))) {
			a, ok := object(old, path)[method].(map[string]any)
			if !ok || !slices.Contains(methods(), method) {
				continue
			}
			c.at = strings.ToUpper(method) + " " + path
			b, ok := object(now, path)[method].(map[string]any)
			if !ok {
				c.add("is gone")
				continue
			}
			c.operation(a, b)
		}
	}
	return c.found
}

func methods() []string { return []string{"get", "put", "post", "delete", "patch", "head", "options"} }

type comparison struct {
	was, is map[string]any
	at      string // the operation
	found   []string
	seen    map[string]bool // pairs of references that are being compared
}

func (c *comparison) add(format string, args ...any) {
	c.found = append(c.found, c.at+": "+fmt.Sprintf(format, args...))
}

func object(m map[string]any, key string) map[string]any {
	v, _ := m[key].(map[string]any)
	return v
}

func list(m map[string]any, key string) []any {
	v, _ := m[key].([]any)
	return v
}

func (c *comparison) operation(a, b map[string]any) {
	c.parameters(list(a, "parameters"), list(b, "parameters"))
	c.body(object(a, "requestBody"), object(b, "requestBody"))
	c.answers(object(a, "responses"), object(b, "responses"))
	if roles, guarded := b["x-roles"].([]any); guarded {
		was, wasGuarded := a["x-roles"].([]any)
		if !wasGuarded {
			c.add("needs a role now")
		}
		for _, r := range was {
			if !slices.Contains(roles, r) {
				c.add("role %v may not call it any more", r)
			}
		}
	}
}

func (c *comparison) parameters(was, is []any) {
	index := func(params []any) map[string]map[string]any {
		out := map[string]map[string]any{}
		for _, p := range params {
			if m, ok := p.(map[string]any); ok {
				out[fmt.Sprintf("%v %v", m["in"], m["name"])] = m
			}
		}
		return out
	}
	old, now := index(was), index(is)
	for _, name := range slices.Sorted(maps.Keys(old)) {
		b, ok := now[name]
		if !ok {
			c.add("parameter %s is gone", name)
			continue
		}
		if b["required"] == true && old[name]["required"] != true {
			c.add("parameter %s is newly required", name)
		}
		c.seen = map[string]bool{}
		c.input("parameter "+name, object(old[name], "schema"), object(b, "schema"))
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if old[name] == nil && now[name]["required"] == true {
			c.add("parameter %s is newly required", name)
		}
	}
}

func (c *comparison) body(a, b map[string]any) {
	if a == nil {
		if b["required"] == true {
			c.add("a body is newly required")
		}
		return
	}
	if b == nil {
		c.add("the body is gone")
		return
	}
	if b["required"] == true && a["required"] != true {
		c.add("the body is newly required")
	}
	for _, kind := range slices.Sorted(maps.Keys(object(a, "content"))) {
		m, ok := object(b, "content")[kind].(map[string]any)
		if !ok {
			c.add("a body of %s is not taken any more", kind)
			continue
		}
		c.seen = map[string]bool{}
		c.input("body", object(object(object(a, "content"), kind), "schema"), object(m, "schema"))
	}
}

func (c *comparison) answers(a, b map[string]any) {
	for _, status := range slices.Sorted(maps.Keys(a)) {
		if !strings.HasPrefix(status, "2") {
			continue // problems have one shape, and new ones may come
		}
		now, ok := b[status].(map[string]any)
		if !ok {
			c.add("answer %s is gone", status)
			continue
		}
		content := object(object(a, status), "content")
		for _, kind := range slices.Sorted(maps.Keys(content)) {
			m, ok := object(now, "content")[kind].(map[string]any)
			if !ok {
				c.add("answer %s as %s is gone", status, kind)
				continue
			}
			c.seen = map[string]bool{}
			c.output("answer "+status, object(object(content, kind), "schema"), object(m, "schema"))
		}
	}
}
