package ingest

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

// accepts reports whether the scanner takes b as one JSON value.
func accepts(b []byte) bool {
	s := &scanner{b: b}
	s.skip(0)
	return s.end()
}

// depth is the deepest nesting of brackets outside strings.
func depth(b []byte) int {
	d, deepest, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '[' || c == '{'):
			d++
			deepest = max(deepest, d)
		case !quoted && (c == ']' || c == '}'):
			d--
		}
	}
	return deepest
}

// FuzzScanner holds the scanner to encoding/json: what one takes as JSON, the
// other does, but for the nesting and the bytes that are not UTF-8, which the
// scanner refuses.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-0,0.5e+3,"x\u00e9\ud83d\ude00"],"b":null}`, `[[[[[[[[1]]]]]]]]`, `01`, `-`, `1.`, `.5`, `1e`, `"\x"`, `"\ud800"`,
		`{"a":1,}`, `[1,]`, `nul`, `true false`, "\"\x01\"", "\"\xff\"", ` {} `, `{"a" 1}`, `"`, `"\`, ``, "\x00", `+1`, `1e400`, `"\u12"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if depth(b) > maxDepth {
			return
		}
		want := json.Valid(b) && bytes.Equal(bytes.ToValidUTF8(b, nil), b)
		if got := accepts(b); got != want {
			t.Fatalf("%q: the scanner says %v, encoding/json %v", b, got, want)
		}
	})
}

// FuzzText holds the values of strings and numbers to encoding/json.
func FuzzText(f *testing.F) {
	for _, seed := range []string{`"plain"`, `"\u0041\n\/"`, `"\ud83d\ude00"`, `"\ud800x"`, `-12.5e-3`, `9007199254740993`, `1e999`, `0`, `-0`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !accepts(b) {
			return
		}
		s := &scanner{b: b}
		var text string
		if s.peek() == '"' {
			if got, ok := s.text(); !ok || json.Unmarshal(b, &text) != nil || string(got) != text {
				t.Fatalf("%q: read %q, want %q", b, got, text)
			}
			return
		}
		num, isNumber := s.number()
		if !isNumber {
			return
		}
		var want float64
		fits := json.Unmarshal(b, &want) == nil
		if got, ok := parseFloat(num); ok != fits || ok && got != want {
			t.Fatalf("%q: read %v %v, want %v %v", b, got, ok, want, fits)
		}
	})
}

func TestScannerRefusesDeepNesting(t *testing.T) {
	nested := func(n int) []byte {
		return append(bytes.Repeat([]byte("["), n), bytes.Repeat([]byte("]"), n)...)
	}
	if !accepts(nested(maxDepth)) {
		t.Errorf("%d levels were refused", maxDepth)
	}
	if accepts(nested(maxDepth+2)) || accepts(bytes.Repeat([]byte("["), 1<<20)) {
		t.Error("nesting without bounds was read")
	}
}

func TestTimesBesideRFC3339AreRefused(t *testing.T) {
	for _, text := range []string{"2025-11-24T15:04:05,5Z", "2025-11-24T5:04:05Z", "2025-11-24T15:04:05+24:00", "2025-11-24T15:04:05,5+01:00"} {
		if ms, ok := parseTime([]byte(text)); ok {
			t.Errorf("%s was read as %d", text, ms)
		}
	}
	if ms, ok := parseTime([]byte("2025-11-24T15:04:05.25+23:30")); !ok || ms != 1_763_912_045_250 {
		t.Errorf("got %d %v", ms, ok)
	}
}

// FuzzTime holds times to the standard library, less what it takes beside RFC
// 3339.
func FuzzTime(f *testing.F) {
	for _, seed := range []string{
		"2025-11-24T15:04:05Z", "2025-11-24T15:04:05.123456789Z", "2025-11-24T15:04:05.1+05:30", "1969-12-31T23:59:59.999Z",
		"2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "0000-03-01T00:00:00Z", "9999-12-31T23:59:59Z",
		"2025-11-24T15:04:05,5Z", "2025-11-24T5:04:05Z", "2025-11-24T15:04:05+25:00", "2025-11-24T15:04:60Z", "2025-11-24T24:00:00Z",
		"2025-11-24t15:04:05z", "2025-11-24 15:04:05Z", "2025-11-24T15:04:05.Z", "2025-11-24T15:04:05.1234567890Z", "2025-11-24T15:04:05", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want time.Time
		valid := want.UnmarshalText(b) == nil && strict(b)
		got, ok := parseTime(b)
		if ok != valid || ok && got != want.UnixMilli() {
			t.Fatalf("%q: read %d %v, want %d %v", b, got, ok, want.UnixMilli(), valid)
		}
	})
}
