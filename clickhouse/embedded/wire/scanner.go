package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

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
		case blank(rest) > 0:
			sc.pos += blank(rest)
		case strings.HasPrefix(rest, "--"), c == '#' && (strings.HasPrefix(rest, "# ") || strings.HasPrefix(rest, "#!")):
			sc.skipTo("\n", 1)
		case strings.HasPrefix(rest, "/*"):
			sc.pos += 2
			sc.skipTo("*/", 2)
		case c == '\'' || c == '"' || c == '`':
			return sc.quoted(c), true
		case strings.HasPrefix(rest, "‘"), strings.HasPrefix(rest, "“"):
			return sc.until(map[string]string{"‘": "’", "“": "”"}[rest[:len("‘")]], len("‘")), true
		case c == '$' && heredoc(rest) != "":
			tag := heredoc(rest)
			return sc.until(tag, len(tag)), true
		case isWordByte(c):
			start := sc.pos
			for sc.pos < len(sc.s) && isWordByte(sc.s[sc.pos]) {
				sc.pos++
			}
			return sc.s[start:sc.pos], true
		default:
			_, n := utf8.DecodeRuneInString(rest)
			sc.pos += n
			switch c {
			case '(', '[', '{':
				sc.depth++
			case ')', ']', '}':
				sc.depth--
			}
			return rest[:n], true
		}
	}
	return "", false
}

// blank gives the length of the blank that s begins with, 0 for none. ClickHouse
// takes any of Unicode's for one, those without a width too.
func blank(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	if unicode.IsSpace(r) || r == '\u180e' || '\u200b' <= r && r <= '\u200f' || '\u2060' <= r && r <= '\u2064' || r == '\ufeff' {
		return n
	}
	return 0
}

// heredoc gives the $tag$ that s begins with, "" for none.
func heredoc(s string) string {
	i := 1
	for i < len(s) && s[i] != '$' && isWordByte(s[i]) {
		i++
	}
	if i == len(s) || s[i] != '$' {
		return ""
	}
	if tag := s[:i+1]; strings.Contains(s[len(tag):], tag) {
		return tag
	}
	return "" // without its end it is none
}

// until passes text up to its end mark, skip bytes from here on.
func (sc *scanner) until(end string, skip int) string {
	start := sc.pos
	sc.pos += skip
	sc.skipTo(end, len(end))
	return sc.s[start:sc.pos]
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
