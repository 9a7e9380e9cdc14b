package api

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// formats writes JSON as huma does, with every time in UTC and milliseconds:
// the standard library writes a time in its own zone and drops its last zeros.
func (s *Server) formats() map[string]huma.Format {
	out := maps.Clone(huma.DefaultFormats)
	for _, kind := range []string{"application/json", "json"} {
		f := out[kind]
		f.Unmarshal = unmarshal
		f.Marshal = func(w io.Writer, v any) error {
			var b bytes.Buffer
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			if err := e.Encode(v); err != nil {
				return err
			}
			_, err := w.Write(millis(b.Bytes(), s.times))
			return err
		}
		out[kind] = f
	}
	return out
}

// timeNames gives the names of the fields that the document says are times. No
// text of a user's stands under one of them.
func timeNames(doc *huma.OpenAPI) map[string]bool {
	out := map[string]bool{}
	for _, s := range doc.Components.Schemas.Map() {
		for name, p := range s.Properties {
			if p.Format == "date-time" {
				out[name] = true
			}
		}
	}
	return out
}

// The shortest and longest forms of RFC 3339.
const (
	shortestTime = len("2006-01-02T15:04:05Z")
	longestTime  = len(time.RFC3339Nano)
	millisTime   = "2006-01-02T15:04:05.000Z"
)

// millis rewrites the times under the given names. A quotation mark within a
// text is escaped, so what looks like a name and a value is one.
func millis(b []byte, names map[string]bool) []byte {
	var out []byte
	last := 0
	for i := 0; ; {
		j := bytes.Index(b[i:], []byte(`":"`))
		if j < 0 {
			break
		}
		name, start := b[:i+j], i+j+3
		i = start
		n := bytes.IndexByte(b[start:], '"')
		if n < shortestTime || n > longestTime || b[start+10] != 'T' || n == len(millisTime) && b[start+n-5] == '.' && b[start+n-1] == 'Z' {
			continue
		}
		if !names[string(name[bytes.LastIndexByte(name, '"')+1:])] {
			continue
		}
		t, err := time.Parse(time.RFC3339Nano, string(b[start:start+n]))
		if err != nil {
			continue
		}
		out = t.UTC().AppendFormat(append(out, b[last:start]...), millisTime)
		last = start + n
	}
	if out == nil {
		return b
	}
	return append(out, b[last:]...)
}
