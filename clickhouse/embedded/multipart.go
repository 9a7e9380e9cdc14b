package embedded

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
)

// external is a table that a client sends along with its statement.
type external struct {
	name, structure, format string
	data                    []byte
}

// maxExternal bounds the data of all external tables of a request, and so the
// memory of it.
const maxExternal = 64 << 20

// multipartForm gives the body of a request that sends fields and tables; nil
// for all others.
func multipartForm(r *http.Request) (*multipart.Reader, error) {
	const kind = "multipart/form-data"
	if r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), kind) {
		return nil, nil //nolint:nilnil // no form is no error
	}
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, badRequest("Content-Type: %v", err)
	}
	if params["boundary"] == "" {
		return nil, badRequest("multipart/form-data without a boundary")
	}
	return multipart.NewReader(r.Body, params["boundary"]), nil
}

// describesData says whether a parameter tells how an external table is made.
func describesData(name string) bool {
	return strings.HasSuffix(name, "_structure") || strings.HasSuffix(name, "_types") || strings.HasSuffix(name, "_format")
}

// readForm reads fields, which are parameters like those of the URL, and files,
// which are external tables.
func (req *request) readForm(q url.Values, form *multipart.Reader) error {
	fields := url.Values{}
	left := int64(maxExternal)
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading form: %w", err)
		}
		b, err := io.ReadAll(io.LimitReader(part, left+1))
		if err != nil {
			return fmt.Errorf("reading form: %w", err)
		}
		if left -= int64(len(b)); left < 0 {
			return chdb.Raise(codeTooLarge, "QUERY_IS_TOO_LARGE", "The form has more than %d bytes", maxExternal)
		}
		if part.FileName() != "" {
			req.external = append(req.external, external{name: part.FormName(), data: b})
			continue
		}
		fields.Set(part.FormName(), string(b))
	}
	if err := req.options(fields, true); err != nil {
		return err
	}
	about := func(name string) string {
		if fields.Has(name) {
			return fields.Get(name)
		}
		return q.Get(name)
	}
	for i := range req.external {
		if err := req.external[i].describe(about); err != nil {
			return err
		}
	}
	req.body = http.NoBody
	return req.parse(q.Get("query")+fields.Get("query"), false)
}

// describe finds the structure and format of a table.
func (e *external) describe(about func(string) string) error {
	if !settingName.MatchString(e.name) {
		return badRequest("%q is not the name of an external table", e.name)
	}
	e.structure, e.format = about(e.name+"_structure"), about(e.name+"_format")
	if e.format == "" {
		e.format = "TabSeparated"
	}
	if types := about(e.name + "_types"); e.structure == "" && types != "" {
		e.structure = namedTypes(types)
	}
	if e.structure == "" {
		return badRequest("External table %s has neither %s_structure nor %s_types", e.name, e.name, e.name)
	}
	return nil
}

// namedTypes gives types the names ClickHouse gives them: _1, _2, …
func namedTypes(types string) string {
	var out strings.Builder
	n, depth := 1, 0
	out.WriteString("_1 ")
	for _, c := range types {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			n++
			fmt.Fprintf(&out, ", _%d ", n)
			continue
		}
		out.WriteRune(c)
	}
	return out.String()
}
