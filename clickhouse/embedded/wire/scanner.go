package wire

import "strings"

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
