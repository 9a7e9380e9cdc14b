package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/foodflow/foodflow/internal/fault"
)

// scanner reads JSON strictly and without allocation: no duplicate or unknown
// members in objects we know, valid UTF-8, RFC 8259 numbers. A syntax error is
// remembered and ends the scan; it concerns the whole request.
type scanner struct {
	b   []byte
	pos int
	err error
}

// fail remembers the first syntax error.
func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fault.New(fault.BadRequest, "invalid JSON at byte %d: %s", s.pos, fmt.Sprintf(format, args...))
	}
	s.pos = len(s.b)
}

func (s *scanner) blanks() {
	for s.pos < len(s.b) {
		switch s.b[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek gives the next byte behind blanks, 0 at the end.
func (s *scanner) peek() byte {
	s.blanks()
	if s.pos >= len(s.b) {
		return 0
	}
	return s.b[s.pos]
}

// take passes c and reports whether it was there.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

func (s *scanner) want(c byte) bool {
	if s.take(c) {
		return true
	}
	if s.pos >= len(s.b) {
		s.fail("want %q, got the end", c)
	} else {
		s.fail("want %q, got %q", c, s.b[s.pos])
	}
	return false
}

// end reports whether nothing but blanks is left, and fails otherwise.
func (s *scanner) end() bool {
	if s.peek() != 0 || s.pos < len(s.b) {
		s.fail("text behind the value")
	}
	return s.err == nil
}

// object calls member for each member of an object, with the scanner before the
// value. member must pass the value.
func (s *scanner) object(member func(name []byte)) {
	if !s.want('{') || s.take('}') {
		return
	}
	for s.err == nil {
		name, ok := s.text()
		if !ok || !s.want(':') {
			return
		}
		member(name)
		if s.take(',') {
			continue
		}
		s.want('}')
		return
	}
}

// array calls item for each item, with the scanner before it.
func (s *scanner) array(item func(i int)) {
	if !s.want('[') || s.take(']') {
		return
	}
	for i := 0; s.err == nil; i++ {
		item(i)
		if s.take(',') {
			continue
		}
		s.want(']')
		return
	}
}

// text reads a string. The bytes alias the input unless it holds escapes.
func (s *scanner) text() ([]byte, bool) {
	if s.peek() != '"' {
		s.fail("want a string")
		return nil, false
	}
	start := s.pos + 1
	for i := start; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.pos = i + 1
			if raw := s.b[start:i]; ascii(raw) || utf8.Valid(raw) {
				return raw, true
			}
			s.fail("a string is not UTF-8")
			return nil, false
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			s.pos = i
			s.fail("a control character in a string")
			return nil, false
		}
	}
	s.fail("a string without end")
	return nil, false
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// escaped reads a string with escapes by the standard library; such strings are
// rare.
func (s *scanner) escaped(start int) ([]byte, bool) {
	i := start
	for i < len(s.b) && s.b[i] != '"' {
		if s.b[i] == '\\' {
			i++
		}
		i++
	}
	if i >= len(s.b) {
		s.fail("a string without end")
		return nil, false
	}
	var out string
	raw := s.b[start-1 : i+1]
	if !utf8.Valid(raw) || json.Unmarshal(raw, &out) != nil {
		s.fail("a bad escape in a string")
		return nil, false
	}
	s.pos = i + 1
	return []byte(out), true
}

// number passes a number and gives its text. isNumber is false, and nothing is
// passed, when the next value is something else.
func (s *scanner) number() (text []byte, isNumber bool) {
	c := s.peek()
	if c != '-' && (c < '0' || c > '9') {
		return nil, false
	}
	start, i := s.pos, s.pos
	digits := func() bool {
		from := i
		for i < len(s.b) && s.b[i] >= '0' && s.b[i] <= '9' {
			i++
		}
		return i > from
	}
	if c == '-' {
		i++
	}
	zero := i < len(s.b) && s.b[i] == '0'
	first := i
	ok := digits() && (!zero || i == first+1)
	if ok && i < len(s.b) && s.b[i] == '.' {
		i++
		ok = digits()
	}
	if ok && i < len(s.b) && (s.b[i] == 'e' || s.b[i] == 'E') {
		i++
		if i < len(s.b) && (s.b[i] == '+' || s.b[i] == '-') {
			i++
		}
		ok = digits()
	}
	s.pos = i
	if !ok {
		s.fail("a malformed number")
		return nil, true
	}
	return s.b[start:i], true
}

// literal passes word when it is next.
func (s *scanner) literal(word string) bool {
	s.blanks()
	if bytes.HasPrefix(s.b[s.pos:], []byte(word)) {
		s.pos += len(word)
		return true
	}
	return false
}

// maxDepth bounds the nesting of values that are skipped.
const maxDepth = 8

// skip passes any value.
func (s *scanner) skip(depth int) {
	if depth > maxDepth {
		s.fail("nested deeper than %d", maxDepth)
		return
	}
	switch s.peek() {
	case '{':
		s.object(func([]byte) { s.skip(depth + 1) })
	case '[':
		s.array(func(int) { s.skip(depth + 1) })
	case '"':
		s.text()
	default:
		if _, ok := s.number(); ok || s.literal("true") || s.literal("false") || s.literal("null") {
			return
		}
		s.fail("want a value")
	}
}

// borrow views bytes as a string for the length of a call.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// parseFloat reads a JSON number; false when it is too large.
func parseFloat(text []byte) (float64, bool) {
	v, err := strconv.ParseFloat(borrow(text), 64)
	return v, err == nil && !math.IsInf(v, 0)
}

func parseInt(text []byte) (int64, bool) {
	v, err := strconv.ParseInt(borrow(text), 10, 64)
	return v, err == nil
}

// parseTime reads an RFC 3339 time as Unix milliseconds. The common form in UTC
// is read by hand.
func parseTime(b []byte) (int64, bool) {
	if ms, ok := parseUTC(b); ok {
		return ms, true
	}
	t, err := time.Parse(time.RFC3339, string(b))
	if err != nil || !strict(b) {
		return 0, false
	}
	return t.UnixMilli(), true
}

// strict refuses what time.Parse and UnmarshalText take beside RFC 3339
// (go.dev/issue/54580): one-digit hours, a comma before the fraction, and
// offsets of 24 hours. b is a text that time.Parse took.
func strict(b []byte) bool {
	if b[12] == ':' || b[19] == ',' {
		return false
	}
	n := len(b)
	return b[n-1] == 'Z' || string(b[n-5:n-3]) < "24"
}

// parseUTC reads 2006-01-02T15:04:05[.fraction]Z.
func parseUTC(b []byte) (int64, bool) {
	n := len(b)
	if n < 20 || b[n-1] != 'Z' || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	ok := true
	two := func(i int) int {
		x, y := b[i]-'0', b[i+1]-'0'
		ok = ok && x < 10 && y < 10
		return int(x)*10 + int(y)
	}
	year, month, day := two(0)*100+two(2), two(5), two(8)
	h, m, sec := two(11), two(14), two(17)
	ms := 0
	if n > 20 {
		if b[19] != '.' || n == 21 || n > 30 {
			return 0, false
		}
		for i, scale := 20, 100; i < n-1; i, scale = i+1, scale/10 {
			d := b[i] - '0'
			ok = ok && d < 10
			ms += int(d) * scale
		}
	}
	// days counts from March: January of the year 0 would lie in the year -1.
	if !ok || year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || h > 23 || m > 59 || sec > 59 {
		return 0, false
	}
	return (days(year, month, day)*86400+int64(h*3600+m*60+sec))*1000 + int64(ms), true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// days counts the days from 1970-01-01 in the Gregorian calendar, by years that
// begin in March so that the leap day comes last.
func days(year, month, day int) int64 {
	y := int64(year)
	if month <= 2 {
		y--
		month += 12
	}
	yearDays := 365*y + y/4 - y/100 + y/400
	return yearDays + int64(153*(month-3)+2)/5 + int64(day) - 1 - 719468
}
