package api

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// twice is said of a member that an object has more than once. RFC 8259 leaves open
// which of them holds, and RFC 7493 (I-JSON) forbids it: the decoder would take the
// last, and a gateway in between may have looked at the first.
const twice = "is there more than once in its object"

// repeated finds the first such member of a text that is known to be JSON.
func repeated(text []byte) (where string, found bool) {
	s := members{text: text}
	return s.value()
}

// members walks through a JSON text. It looks at names only, and at nothing twice.
type members struct {
	text []byte
	at   int
	open [][]byte // the names of the objects that are being walked through
}

// few is up to how many names of an object are compared one by one.
const few = 16

func (s *members) value() (where string, found bool) {
	s.space()
	switch s.text[s.at] {
	case '{':
		return s.object()
	case '[':
		return s.list()
	case '"':
		s.quoted()
	default: // a number or a word, up to what ends it
		for s.at < len(s.text) && !strings.ContainsRune(",]} \t\r\n", rune(s.text[s.at])) {
			s.at++
		}
	}
	return "", false
}

func (s *members) object() (where string, found bool) {
	first := len(s.open)
	defer func() { s.open = s.open[:first] }()
	var many map[string]bool
	for s.at++; s.next('}'); {
		name := plain(s.quoted())
		known := many[string(name)]
		if many == nil {
			for _, n := range s.open[first:] {
				known = known || bytes.Equal(n, name)
			}
		}
		if known {
			return string(name), true
		}
		switch {
		case many != nil:
			many[string(name)] = true
		case len(s.open)-first == few:
			many = map[string]bool{string(name): true}
			for _, n := range s.open[first:] {
				many[string(n)] = true
			}
		default:
			s.open = append(s.open, name)
		}
		s.space()
		s.at++ // the colon
		if where, found = s.value(); found {
			return under(string(name), where), true
		}
	}
	return "", false
}

func (s *members) list() (where string, found bool) {
	i := 0
	for s.at++; s.next(']'); i++ {
		if where, found = s.value(); found {
			return under("["+strconv.Itoa(i)+"]", where), true
		}
	}
	return "", false
}

// under gives the path of what is at where inside of a member or an entry.
func under(outer, where string) string {
	if strings.HasPrefix(where, "[") {
		return outer + where
	}
	return outer + "." + where
}

// next goes to the next member or entry, or behind the end.
func (s *members) next(end byte) bool {
	s.space()
	if s.text[s.at] == ',' {
		s.at++
		s.space()
	}
	if s.text[s.at] == end {
		s.at++
		return false
	}
	return true
}

func (s *members) space() {
	for s.text[s.at] == ' ' || s.text[s.at] == '\t' || s.text[s.at] == '\r' || s.text[s.at] == '\n' {
		s.at++
	}
}

// quoted goes behind a string and gives it with its quotes.
func (s *members) quoted() []byte {
	from := s.at
	for s.at++; s.text[s.at] != '"'; s.at++ {
		if s.text[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
	return s.text[from:s.at]
}

// plain is a name as the decoder understands it.
func plain(quoted []byte) []byte {
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') < 0 && utf8.Valid(name) {
		return name
	}
	var text string
	_ = json.Unmarshal(quoted, &text) // it is JSON
	return []byte(text)
}
