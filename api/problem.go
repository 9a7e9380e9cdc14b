package api

import (
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/fault"
)

// problem is a fault as huma sends it.
type problem struct {
	doc fault.Document
	err *fault.Error
}

func newProblem(err error) *problem {
	doc, e := fault.Describe(err)
	return &problem{doc, e}
}

// Error gives the detail, for logs.
func (p *problem) Error() string { return p.err.Error() }

// GetStatus gives the HTTP status.
func (p *problem) GetStatus() int { return p.doc.Status }

// GetHeaders gives Retry-After and the like.
func (p *problem) GetHeaders() http.Header { return p.err.Headers() }

// ContentType is RFC 9457's.
func (p *problem) ContentType(string) string { return "application/problem+json" }

// MarshalJSON gives the wire form.
func (p *problem) MarshalJSON() ([]byte, error) { return p.doc.Encode() }

// Schema documents the wire form.
func (p *problem) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(typeOf[fault.Document](), true, "Problem")
}

// kindOfStatus undoes fault.Kind.Status for what huma refuses by itself.
func kindOfStatus(status int) fault.Kind {
	for k := fault.Internal; k <= fault.Timeout; k++ {
		if k.Status() == status {
			return k
		}
	}
	if status >= 500 {
		return fault.Internal
	}
	return fault.BadRequest
}

// humaError makes problems of huma's own refusals. The rejected values are left
// out: they may be secrets.
func humaError(status int, message string, errs ...error) huma.StatusError {
	e := &fault.Error{Kind: kindOfStatus(status), Detail: message}
	if detail, ok := details()[e.Kind]; ok && message == "validation failed" {
		e.Detail = detail
	}
	if message == "request body is required" {
		e.Items = append(e.Items, fault.Item{Location: "body", Rule: "required", Message: message})
	}
	for _, err := range errs {
		if err == nil {
			continue
		}
		var known *fault.Error
		if errors.As(err, &known) {
			return newProblem(known)
		}
		var d huma.ErrorDetailer
		if !errors.As(err, &d) {
			continue // an inner error's text is not for clients
		}
		x := d.ErrorDetail()
		if it, ok := keptItem(x.Message); ok {
			return newProblem(fault.NewInvalid(it))
		}
		if e.Total++; e.Total <= maxNamed {
			e.Items = append(e.Items, item(x))
		}
	}
	if e.Total <= maxNamed {
		e.Total = 0 // all are named
	}
	return newProblem(e)
}

// maxNamed bounds how many broken rules an answer names; errors_total counts all.
const maxNamed = 20

// misshapen is said of what the schema refuses, before any rule of ours is asked.
const misshapen = "the request doesn't have the form that the document describes"

// details says what huma calls a failed validation, by what kind of failure it is.
func details() map[fault.Kind]string {
	return map[fault.Kind]string{
		fault.BadRequest: "the body can't be read", fault.UnsupportedMedia: "the body's format is none that the route takes", fault.Invalid: misshapen,
	}
}

// item names field and rule of what huma found; it puts both into words.
func item(x *huma.ErrorDetail) fault.Item {
	location, rule, message := x.Location, "schema", x.Message
	switch {
	case strings.HasPrefix(message, huma.ErrUnknownContentType.Error()):
		return fault.Item{Location: "Content-Type", Rule: "content_type", Message: "must be application/json"}
	case location == "body" && !strings.HasPrefix(message, "expected") && !strings.HasPrefix(message, "unexpected property"):
		rule, message = "json", "is no JSON: "+strings.TrimPrefix(message, "json: ")
	case strings.HasPrefix(message, "expected value to match exactly one schema"): // times are all that has two forms
		rule, message = "time", "must be RFC 3339 or Unix milliseconds"
	case strings.HasPrefix(message, "expected string to be "):
		message, _, _ = strings.Cut(message, ": ") // a parser's own words follow
	}
	for _, r := range rules() {
		if strings.HasPrefix(x.Message, r.words) {
			rule = r.name
			break
		}
	}
	if rest, ok := strings.CutPrefix(x.Message, absent); ok {
		field, _, _ := strings.Cut(rest, " ")
		location += "." + field
	}
	return fault.Item{Location: strings.TrimPrefix(strings.TrimPrefix(location, "body."), "query."), Rule: rule, Message: message}
}

// absent begins huma's word of a field that is not there; the field's name
// follows.
const absent = "expected required property "

// rules gives the names of the rules, after JSON Schema's keywords, by how huma's
// words of them begin.
func rules() []struct{ words, name string } {
	return []struct{ words, name string }{
		{absent, "required"},
		{"unexpected property", "unknown"},
		{"expected value to be one of", "enum"},
		{"expected number >", "minimum"},
		{"expected number <", "maximum"},
		{"expected length >", "min_length"},
		{"expected length <", "max_length"},
		{"expected array length >", "min_items"},
		{"expected array length <", "max_items"},
		{"expected array items to be unique", "unique_items"},
		{"expected string to match pattern", "pattern"},
		{"expected string to be ", "format"},
		{"invalid integer", "type"},
		{"invalid float", "type"},
		{"invalid boolean", "type"},
		{"expected boolean", "type"},
		{"expected number", "type"},
		{"expected integer", "type"},
		{"expected string", "type"},
		{"expected array", "type"},
		{"expected object", "type"},
	}
}

// humaErrorsOnce guards huma's package variable, which every API of a process
// shares.
var humaErrorsOnce sync.Once

func installErrors() {
	humaErrorsOnce.Do(func() {
		// Go's decoder takes ROLE for role. What is validated as role would then be
		// overwritten by a ROLE that isn't.
		huma.ValidateStrictCasing = true
		huma.NewError = humaError
		huma.NewErrorWithContext = func(_ huma.Context, status int, msg string, errs ...error) huma.StatusError {
			return humaError(status, msg, errs...)
		}
	})
}
