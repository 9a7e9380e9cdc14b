package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Document passes on an answer in one of JSON's formats so that it can end in an
// exception and still be a document (http_write_exception_in_output_format): a row
// is only sent when it is whole.
type Document struct {
	w    io.WriteCloser
	held []byte // what follows the last whole row

	lines   bool // a row is a line
	compact bool // and a list

	seen   int // bytes of held that were looked at
	text   bool
	escape bool
	depth  int
	lists  int // that were opened in the document itself: the second is the data
	count  int // rows
}

// NewDocument gives nil for formats that don't say an exception.
func NewDocument(w io.WriteCloser, format string) *Document {
	switch {
	case format == "JSON", format == "JSONCompact", format == "JSONStrings", format == "JSONCompactStrings":
		return &Document{w: w}
	case strings.HasPrefix(format, "JSON") && strings.Contains(format, "EachRow") && !strings.HasPrefix(format, "JSONObject"):
		return &Document{w: w, lines: true, compact: strings.HasPrefix(format, "JSONCompact")}
	}
	return nil
}

// Write sends whole rows.
func (r *Document) Write(b []byte) (int, error) {
	r.held = append(r.held, b...)
	if whole := r.whole(); whole > 0 {
		if _, err := r.w.Write(r.held[:whole]); err != nil {
			return 0, err
		}
		r.held = append(r.held[:0], r.held[whole:]...)
		r.seen -= whole
	}
	return len(b), nil
}

// whole gives the length of held up to its last whole row.
func (r *Document) whole() (cut int) {
	if r.lines {
		r.seen = len(r.held)
		return bytes.LastIndexByte(r.held, '\n') + 1 // inside a row it is escaped
	}
	for ; r.seen < len(r.held); r.seen++ {
		c := r.held[r.seen]
		switch {
		case r.escape:
			r.escape = false
		case r.text:
			r.escape, r.text = c == '\\', c != '"'
		case c == '"':
			r.text = true
		case c == '[' || c == '{':
			r.depth++
			if r.depth == 2 && c == '[' {
				if r.lists++; r.lists == 2 {
					cut = r.seen + 1
				}
			}
		case c == ']' || c == '}':
			r.depth--
			if r.depth == 2 && r.lists == 2 {
				r.count++
				cut = r.seen + 1
			}
		}
	}
	return cut
}

// Close sends the rest of an answer that is whole.
func (r *Document) Close() error {
	if _, err := r.w.Write(r.held); err != nil {
		return err
	}
	r.held = nil
	return r.w.Close()
}

// Break ends the answer with an exception in place of what wasn't sent yet.
func (r *Document) Break(text string) error {
	b, err := json.Marshal(text)
	if err != nil {
		return fmt.Errorf("writing an exception: %w", err)
	}
	end := fmt.Sprintf("\n\t],\n\n\t\"rows\": %d,\n\n\t\"exception\": %s\n}\n", r.count, b)
	switch {
	case r.compact:
		end = "[" + string(b) + "]\n"
	case r.lines:
		end = `{"exception": ` + string(b) + "}\n"
	}
	if _, err := io.WriteString(r.w, end); err != nil {
		return err
	}
	return r.w.Close()
}
