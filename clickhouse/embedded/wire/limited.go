package wire

import "strings"

// Escapes says which part of a statement would lead out of the limits of an
// account that shares the engine's user with others, or "". Grants and
// constraints of the engine hold the rest.
func (st Statement) Escapes() string {
	head, second := st.Head()
	switch {
	case head == "SET" && (second == "ROLE" || second == "DEFAULT"):
		return "SET ROLE"
	case head == "KILL":
		return "KILL"
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
		case last == "=" && w == "DEFAULT":
			return "a setting's DEFAULT"
		case w == "=" && last == "PROFILE" && (before == "SET" || before == "SETTINGS" || before == ","):
			return "the setting profile"
		}
		last, before = w, last
	}
}
