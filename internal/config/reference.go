package config

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Reference writes the page of the settings of some commands, in Markdown: what
// every command takes first, then what several share, then each command's own.
func (p *Program) Reference(w io.Writer, commands ...string) error {
	type entry struct {
		s    Setting
		used []string
	}
	var order []string
	entries := map[string]*entry{}
	for _, s := range p.settings {
		if s.Hidden || s.Command != "" && !slices.Contains(commands, s.Command) {
			continue
		}
		// One flag with two meanings is two rows.
		id := s.Flag + "\x00" + s.Default + "\x00" + s.Help
		if entries[id] == nil {
			entries[id] = &entry{s: s}
			order = append(order, id)
		}
		e := entries[id]
		if s.Command == "" {
			e.used = append(e.used, "all")
		} else {
			e.used = append(e.used, first(s.Command))
		}
	}
	slices.SortStableFunc(order, func(a, b string) int {
		return strings.Compare(sectionOf(entries[a].s.Key), sectionOf(entries[b].s.Key))
	})
	var b strings.Builder
	section := "\x00"
	for _, id := range order {
		e := entries[id]
		if now := sectionOf(e.s.Key); now != section {
			section = now
			title := section
			if title == "" {
				title = "without a section"
			}
			fmt.Fprintf(&b, "\n## %s\n\n| key | variable | default | for | what it is |\n|---|---|---|---|---|\n", title)
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s |\n", e.s.Key, e.s.Env, quoted(e.s.Default), strings.Join(e.used, ", "), describe(e.s))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the reference: %w", err)
	}
	return nil
}

func sectionOf(key string) string {
	i := strings.LastIndex(key, ".")
	return key[:max(i, 0)]
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

func describe(s Setting) string {
	text := strings.ReplaceAll(s.Help, "|", "\\|")
	if s.Enum != "" {
		text += " One of: " + strings.ReplaceAll(strings.Trim(s.Enum, ","), ",", ", ") + "."
	}
	if s.Secret {
		text += fmt.Sprintf(" Secret: `%s` names a file that holds it.", s.Env+strings.ToUpper(fileSuffix))
	}
	return strings.TrimSpace(text)
}
