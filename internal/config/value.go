package config

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Value is a setting of a command as it holds, fit to be shown.
type Value struct {
	Key     string `json:"key"`
	Value   any    `json:"value"`
	Source  string `json:"source"`
	Flag    string `json:"flag"`
	Env     string `json:"env"`
	Default string `json:"default,omitempty"`
	file    string // that a secret stands in: its own, or the configuration
}

// redacted stands for a secret that is set.
const redacted = "********"

// Values gives what holds for the command that ctx chose, in the order of
// declaration, secrets redacted.
func (p *Program) Values(ctx *kong.Context) []Value {
	given := map[*kong.Flag]bool{}
	for _, step := range ctx.Path {
		if step.Flag != nil && !step.Resolved {
			given[step.Flag] = true
		}
	}
	command := commandOf(ctx)
	var out []Value
	for _, s := range p.settings {
		if s.Command != "" && s.Command != command {
			continue
		}
		v := Value{Key: s.Key, Flag: "--" + s.Flag, Env: s.Env, Default: s.Default, Source: "default", Value: shown(s, ctx.FlagValue(s.flag))}
		if given[s.flag] {
			v.Source = "flag --" + s.Flag
		} else if found, ok, err := p.layers.find(command, s); err == nil && ok {
			v.Source, v.file = found.source, found.file
			if s.Secret && v.file == "" && strings.HasPrefix(found.source, "file ") {
				v.file = p.layers.path
			}
		}
		out = append(out, v)
	}
	return out
}

// shown is a value without its secrets.
func shown(s Setting, v any) any {
	rv := reflect.ValueOf(v)
	switch {
	case s.Secret && rv.IsZero():
		return ""
	case s.Secret:
		text := fmt.Sprint(v)
		if u := Redact(text); strings.Contains(text, "://") && u != text {
			return u
		}
		return redacted
	case rv.Kind() == reflect.Slice:
		list := make([]string, rv.Len())
		for i := range list {
			list[i] = Redact(fmt.Sprint(rv.Index(i).Interface()))
		}
		return list
	}
	switch v := v.(type) {
	case time.Duration:
		return v.String()
	case string:
		return Redact(v)
	}
	return v
}

// Redact takes password and query out of an address; what is none stays as it
// is. A key that looks like one may stand in a query, so all of it goes.
func Redact(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return redacted
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), "xxxxx")
	}
	if u.RawQuery != "" {
		q := u.Query()
		for name := range q {
			if strings.Contains(strings.ToLower(name), "password") || strings.Contains(strings.ToLower(name), "token") || strings.Contains(strings.ToLower(name), "secret") || strings.Contains(strings.ToLower(name), "key") {
				q.Set(name, "xxxxx")
			}
		}
		u.RawQuery = q.Encode()
	}
	return u.String()
}
