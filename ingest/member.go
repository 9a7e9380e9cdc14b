package ingest

import (
	"bytes"
	"fmt"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/intake"
	"github.com/foodflow/foodflow/internal/plant"
)

// refuseFunc enters what is wrong with a field.
type refuseFunc func(field, rule, message string)

// readList reads an object whose one member, list, is an array of items.
func (b *Batch) readList(body []byte, list string, item func(*scanner, int)) error {
	s := &scanner{b: body}
	found := false
	s.object(func(name []byte) {
		switch {
		case borrow(name) != list:
			s.err = fault.NewInvalid(fault.Item{Location: string(bytes.ToValidUTF8(name[:min(len(name), 60)], nil)), Rule: "unknown_field", Message: "the request has one field, " + list})
			s.pos = len(s.b)
		case found:
			s.err = fault.NewInvalid(fault.Item{Location: list, Rule: "duplicate_field", Message: "stands twice"})
			s.pos = len(s.b)
		default:
			found = true
			s.array(func(i int) {
				if b.next(s) {
					item(s, i)
				}
			})
		}
	})
	if s.err == nil && s.end() && !found {
		return fault.NewInvalid(fault.Item{Location: list, Rule: "required", Message: "is missing"})
	}
	return s.err
}

// readLines reads one item a line; empty lines are passed over.
func (b *Batch) readLines(body []byte, item func(*scanner, int)) error {
	for i := 0; len(body) > 0; i++ {
		line := body
		if n := bytes.IndexByte(body, '\n'); n >= 0 {
			line, body = body[:n], body[n+1:]
		} else {
			body = nil
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		s := &scanner{b: line}
		if b.next(s) {
			item(s, i)
			s.end()
		}
		if s.err != nil {
			if e, ok := s.err.(*fault.Error); ok && e.Kind == fault.BadRequest { //nolint:errorlint // ours, not wrapped
				e.Detail = fmt.Sprintf("line %d: ", i+1) + e.Detail
			}
			return s.err
		}
	}
	return nil
}

// textMember reads a string; anything else is refused and passed.
func (b *Batch) textMember(s *scanner, field string, refuse refuseFunc) []byte {
	if s.peek() != '"' {
		refuse(field, "type", "must be a string")
		s.skip(1)
		return nil
	}
	t, _ := s.text()
	if len(t) == 0 && s.err == nil {
		refuse(field, "required", "must not be empty")
	}
	return t
}

// timeMember reads RFC 3339 or epoch milliseconds.
func (b *Batch) timeMember(s *scanner, refuse refuseFunc) int64 {
	if s.peek() == '"' {
		t, ok := s.text()
		if !ok {
			return 0
		}
		ms, ok := parseTime(t)
		if !ok {
			refuse("ts", "invalid", "is not an RFC 3339 time")
		}
		return ms
	}
	text, ok := s.number()
	if !ok {
		refuse("ts", "type", "must be an RFC 3339 string or epoch milliseconds")
		s.skip(1)
		return 0
	}
	ms, ok := parseInt(text)
	if !ok && s.err == nil {
		refuse("ts", "invalid", "epoch milliseconds must be a whole number")
	}
	return ms
}

func floatMember(s *scanner, field string, refuse refuseFunc) float64 {
	text, ok := s.number()
	if !ok {
		refuse(field, "type", "must be a number")
		s.skip(1)
		return 0
	}
	if s.err != nil {
		return 0
	}
	v, ok := parseFloat(text)
	if !ok {
		refuse(field, "not_finite", "is too large for a double")
		return 0
	}
	return v
}

// countMember reads how many of a thing there were.
func countMember(s *scanner, field string, refuse refuseFunc) float64 {
	v := floatMember(s, field, refuse)
	if x := intake.Count(field, v); x != nil {
		refuse(field, x.Rule, x.Message)
	}
	return v
}

func qualityMember(s *scanner, refuse refuseFunc) plant.Quality {
	if s.peek() != '"' {
		refuse("quality", "type", "must be a string")
		s.skip(1)
		return 0
	}
	t, ok := s.text()
	if !ok {
		return 0
	}
	q, ok := plant.ParseQuality(borrow(t))
	if !ok || len(t) == 0 {
		refuse("quality", "unknown", "must be good, uncertain or bad")
	}
	return q
}

func seqMember(s *scanner, refuse refuseFunc) int64 {
	if s.literal("null") {
		return plant.NoSeq
	}
	text, ok := s.number()
	if !ok {
		refuse("seq", "type", "must be a whole number")
		s.skip(1)
		return plant.NoSeq
	}
	v, ok := parseInt(text)
	if s.err == nil && (!ok || v < 0) {
		refuse("seq", "range", "must be a whole number from 0 to 2^63-1")
	}
	return v
}
