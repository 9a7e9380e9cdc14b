package wire

import (
	"slices"
	"strings"
)

// reaching are functions that lead out of the engine and that no grant holds back:
// they read the machine's files, run what a text says, or call other services.
func reaching() []string {
	return []string{"file", "catboostevaluate", "eval", "executable", "arrowstream", "python", "showcertificate"}
}

// Escapes says which part of a statement would lead out of the limits of an
// account that shares the engine's user with others, or "". Grants and
// constraints of the engine hold the rest. The statement's text must be what the
// engine's own formatter makes of it: there are more ways to write one than are
// known here.
func (st Statement) Escapes() string {
	head, second := st.Head()
	switch {
	case head == "SET" && (second == "ROLE" || second == "DEFAULT"):
		return "SET ROLE"
	case head == "KILL" && second != "QUERY", head == "SYSTEM":
		return head
	case head == "EXECUTE":
		return "EXECUTE AS"
	}
	sc := scanner{s: st.Text}
	var last, before string
	for {
		w, ok := sc.word()
		if !ok {
			return ""
		}
		w = strings.ToUpper(strings.Trim(w, "`\""))
		switch {
		case slices.Contains(reaching(), strings.ToLower(w)):
			return "the function " + strings.ToLower(w)
		case last == "PARALLEL" && w == "WITH": // several statements in one
			return "PARALLEL WITH"
		case last == "=" && w == "DEFAULT":
			return "a setting's DEFAULT"
		case w == "=" && last == "PROFILE" && (before == "SET" || before == "SETTINGS" || before == ","):
			return "the setting profile"
		}
		last, before = w, last
	}
}
