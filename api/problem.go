package api

import (
	"encoding/json"
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
func (p *problem) MarshalJSON() ([]byte, error) { return json.Marshal(p.doc) }

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
		e.Items = append(e.Items, item(x))
	}
	return newProblem(e)
}

// item names field and rule of what huma found; it puts both into words.
func item(x *huma.ErrorDetail) fault.Item {
	location, rule := x.Location, "schema"
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
	return fault.Item{Location: strings.TrimPrefix(strings.TrimPrefix(location, "body."), "query."), Rule: rule, Message: x.Message}
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
