package embedded

import (
	"strings"
)

// statementKind is what a request's text asks for.
type statementKind uint8

const (
	kindRows   statementKind = iota // answers with rows, streamed
	kindShow                        // answers with few rows; the engine doesn't stream these
	kindAction                      // DDL, SET, INSERT … SELECT, INSERT … VALUES (…)
	kindInsert                      // INSERT with data in some format
)

// statement is a request's text, taken apart as far as HTTP needs it.
type statement struct {
	kind   statementKind
	text   string // without inline data and, for inserts, without FORMAT
	format string // the FORMAT clause, "" without one
	data   string // what follows an insert's FORMAT clause
}

// parse classifies text. bodyFollows says that more data comes behind text, as
// with INSERT … VALUES in the URL and rows in the body.
func parse(text string, bodyFollows bool) statement {
	sc := scanner{s: text}
	head, _ := sc.word()
	switch strings.ToUpper(head) {
	case "INSERT":
		return parseInsert(text, &sc, bodyFollows)
	case "SELECT", "WITH", "FROM", "(":
	case "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK":
		return statement{kind: kindShow, text: text, format: lastFormat(&sc)}
	default:
		return statement{kind: kindAction, text: text, format: lastFormat(&sc)}
	}
	return statement{kind: kindRows, text: text, format: lastFormat(&sc)}
}

// readOnly refuses what changes data: a GET request must not, as in ClickHouse.
func (st statement) readOnly() error {
	sc := scanner{s: st.text}
	head, _ := sc.word()
	if st.kind == kindRows && !hasInsert(&sc) || st.kind == kindShow || strings.EqualFold(head, "SET") || strings.EqualFold(head, "USE") {
		return nil
	}
	return &Exception{Code: 164, Text: "Code: 164. DB::Exception: Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries. (READONLY)"}
}

// isKill says whether the statement ends others.
func (st statement) isKill() bool {
	sc := scanner{s: st.text}
	head, _ := sc.word()
	return strings.EqualFold(head, "KILL")
}

// hasInsert finds the INSERT of WITH … INSERT INTO … SELECT, which begins as a
// SELECT does.
func hasInsert(sc *scanner) bool {
	for {
		w, ok := sc.word()
		if !ok {
			return false
		}
		if sc.depth == 0 && strings.EqualFold(w, "INSERT") {
			return true
		}
	}
}

// lastFormat finds the FORMAT clause on the top level, which is the last one.
func lastFormat(sc *scanner) string {
	format := ""
	for {
		w, ok := sc.word()
		if !ok {
			return format
		}
		if sc.depth == 0 && strings.EqualFold(w, "FORMAT") {
			if name, ok := sc.word(); ok && isName(name) {
				format = name
			}
		}
	}
}

func parseInsert(text string, sc *scanner, bodyFollows bool) statement {
	for {
		start := sc.pos
		w, ok := sc.word()
		if !ok {
			if bodyFollows { // ClickHouse's default for data without a format
				return statement{kind: kindInsert, text: text, format: "Values"}
			}
			return statement{kind: kindAction, text: text}
		}
		if sc.depth > 0 {
			continue
		}
		switch strings.ToUpper(w) {
		case "SELECT", "WITH":
			return statement{kind: kindAction, text: text}
		case "VALUES":
			if rest := strings.TrimSpace(text[sc.pos:]); rest != "" && !bodyFollows {
				return statement{kind: kindAction, text: text}
			}
			return statement{kind: kindInsert, text: text[:start], format: "Values", data: text[sc.pos:]}
		case "FORMAT":
			name, ok := sc.word()
			if !ok || !isName(name) {
				return statement{kind: kindAction, text: text}
			}
			return statement{kind: kindInsert, text: text[:start], format: name, data: inlineData(text[sc.pos:])}
		}
	}
}

// inlineData drops what separates data from FORMAT Name: blanks and at most one
// line break.
func inlineData(s string) string {
	s = strings.TrimLeft(s, " \t\r;")
	return strings.TrimPrefix(s, "\n")
}

func isName(s string) bool {
	for i := range len(s) {
		if !isWordByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isWordByte(b byte) bool {
	return b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || b >= 0x80
}

// scanner goes through SQL word by word, past comments, quoted text and the
// insides of numbers, and knows how deep in parentheses it is.
type scanner struct {
	s     string
	pos   int
	depth int
}

// word gives the next word or single character, and false at the end. For an
// opening parenthesis depth counts it already, for a closing one no longer.
func (sc *scanner) word() (string, bool) {
	for sc.pos < len(sc.s) {
		rest := sc.s[sc.pos:]
		c := rest[0]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			sc.pos++
		case strings.HasPrefix(rest, "--"), c == '#' && (strings.HasPrefix(rest, "# ") || strings.HasPrefix(rest, "#!")):
			sc.skipTo("\n", 1)
		case strings.HasPrefix(rest, "/*"):
			sc.pos += 2
			sc.skipTo("*/", 2)
		case c == '\'' || c == '"' || c == '`':
			return sc.quoted(c), true
		case isWordByte(c):
			start := sc.pos
			for sc.pos < len(sc.s) && isWordByte(sc.s[sc.pos]) {
				sc.pos++
			}
			return sc.s[start:sc.pos], true
		default:
			sc.pos++
			switch c {
			case '(', '[', '{':
				sc.depth++
			case ')', ']', '}':
				sc.depth--
			}
			return rest[:1], true
		}
	}
	return "", false
}

func (sc *scanner) skipTo(end string, n int) {
	if i := strings.Index(sc.s[sc.pos:], end); i >= 0 {
		sc.pos += i + n
	} else {
		sc.pos = len(sc.s)
	}
}

// quoted passes a quoted text; a quote is escaped by a backslash or doubled.
func (sc *scanner) quoted(q byte) string {
	start := sc.pos
	sc.pos++
	for sc.pos < len(sc.s) {
		switch sc.s[sc.pos] {
		case '\\':
			sc.pos++
		case q:
			if sc.pos+1 < len(sc.s) && sc.s[sc.pos+1] == q {
				sc.pos++
				break
			}
			sc.pos++
			return sc.s[start:sc.pos]
		}
		sc.pos++
	}
	sc.pos = len(sc.s)
	return sc.s[start:]
}
