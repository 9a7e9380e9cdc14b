package embedded

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

func pathUnescape(s string) (string, error) {
	out, err := url.PathUnescape(s)
	if err != nil {
		return "", notFound(404, "HTTP 404 Not Found")
	}
	return out, nil
}

// subjects answers /subjects, /subjects/{s}, /subjects/{s}/versions[/{v}[/schema]].
func (r *Registry) subjects(req *http.Request, parts []string) (any, error) {
	if len(parts) >= 1 && req.Method == http.MethodPost {
		b, err := read(req)
		if err != nil {
			return nil, err
		}
		if len(parts) == 2 && parts[1] == "versions" {
			id, err := r.Register(parts[0], b.Schema)
			return map[string]int{"id": id}, err
		}
		return r.lookup(parts[0], b.Schema)
	}
	if req.Method != http.MethodGet {
		return nil, &apiError{http.StatusMethodNotAllowed, 405, "HTTP 405 Method Not Allowed"}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch len(parts) {
	case 0:
		names := []string{}
		for s := range r.state.Subjects {
			names = append(names, s)
		}
		slices.Sort(names)
		return names, nil
	case 2:
		ids, ok := r.state.Subjects[parts[0]]
		if !ok {
			return nil, notFound(40401, "Subject '%s' not found.", parts[0])
		}
		versions := make([]int, len(ids))
		for i := range ids {
			versions[i] = i + 1
		}
		return versions, nil
	case 3, 4:
		n, err := r.number(parts[0], parts[2])
		if err != nil {
			return nil, err
		}
		d := r.describe(parts[0], n)
		if len(parts) == 4 {
			return rawSchema(fmt.Sprint(d["schema"])), nil
		}
		return d, nil
	}
	return nil, notFound(404, "HTTP 404 Not Found")
}

// rawSchema is a schema that is answered as JSON itself.
type rawSchema string

// MarshalJSON gives the schema unquoted.
func (s rawSchema) MarshalJSON() ([]byte, error) { return []byte(s), nil }

// lookup finds a schema under a subject without entering it.
func (r *Registry) lookup(subject, text string) (any, error) {
	text, err := canonical(text)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ids, ok := r.state.Subjects[subject]
	if !ok {
		return nil, notFound(40401, "Subject '%s' not found.", subject)
	}
	for i, id := range ids {
		if r.state.Schemas[id-1] == text {
			return r.describe(subject, i+1), nil
		}
	}
	return nil, notFound(40403, "Schema not found")
}

// schemas answers /schemas/types and /schemas/ids/{id}[/versions|/subjects|/schema].
func (r *Registry) schemas(parts []string) (any, error) {
	if len(parts) == 1 && parts[0] == "types" {
		return []string{"AVRO"}, nil
	}
	if len(parts) < 2 || parts[0] != "ids" {
		return nil, notFound(404, "HTTP 404 Not Found")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id, err := strconv.Atoi(parts[1])
	if err != nil || id < 1 || id > len(r.state.Schemas) {
		return nil, notFound(40403, "Schema %s not found", parts[1])
	}
	if len(parts) == 2 {
		return map[string]string{"schema": r.state.Schemas[id-1]}, nil
	}
	type use struct {
		Subject string `json:"subject"`
		Version int    `json:"version"`
	}
	uses, names := []use{}, []string{}
	for s, ids := range r.state.Subjects {
		if i := slices.Index(ids, id); i >= 0 {
			uses, names = append(uses, use{s, i + 1}), append(names, s)
		}
	}
	slices.Sort(names)
	switch parts[2] {
	case "versions":
		return uses, nil
	case "subjects":
		return names, nil
	case "schema":
		return rawSchema(r.state.Schemas[id-1]), nil
	}
	return nil, notFound(404, "HTTP 404 Not Found")
}

// config answers /config[/{subject}].
func (r *Registry) config(req *http.Request, parts []string) (any, error) {
	subject := ""
	if len(parts) > 0 {
		subject = parts[0]
	}
	if req.Method != http.MethodPut {
		r.mu.Lock()
		defer r.mu.Unlock()
		if subject != "" && r.state.Levels[subject] == "" && req.URL.Query().Get("defaultToGlobal") != "true" {
			return nil, notFound(40408, "Subject '%s' does not have subject-level compatibility configured", subject)
		}
		return map[string]string{"compatibilityLevel": r.level(subject)}, nil
	}
	b, err := read(req)
	if err != nil {
		return nil, err
	}
	levels := []string{"NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"}
	if !slices.Contains(levels, b.Compatibility) {
		return nil, &apiError{http.StatusUnprocessableEntity, 42203, "Invalid compatibility level."}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.state.Levels[subject]
	r.state.Levels[subject] = b.Compatibility
	if err := r.save(); err != nil {
		r.state.Levels[subject] = old
		return nil, err
	}
	return map[string]string{"compatibility": b.Compatibility}, nil
}

// compatibility answers /compatibility/subjects/{s}/versions[/{v}].
func (r *Registry) compatibility(req *http.Request, parts []string) (any, error) {
	if len(parts) < 3 || parts[0] != "subjects" || req.Method != http.MethodPost {
		return nil, notFound(404, "HTTP 404 Not Found")
	}
	b, err := read(req)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(parts) == 4 {
		n, err := r.number(parts[1], parts[3])
		if err != nil {
			return nil, err
		}
		id := r.state.Subjects[parts[1]][n-1]
		err = r.compatible(b.Schema, r.state.Schemas[id-1])
		return map[string]bool{"is_compatible": err == nil}, nil
	}
	return map[string]bool{"is_compatible": r.check(parts[1], b.Schema) == nil}, nil
}
