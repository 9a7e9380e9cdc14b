package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Compatible says whether a reader schema can read what a writer schema wrote.
type Compatible func(reader, writer string) error

// Registry is the store and its HTTP interface.
type Registry struct {
	path       string
	compatible Compatible
	valid      func(string) error

	mu    sync.Mutex // guards state
	state state
}

// state is what the file holds.
type state struct {
	Schemas  []string          `json:"schemas"`  // id is the index plus one
	Subjects map[string][]int  `json:"subjects"` // ids, oldest version first
	Levels   map[string]string `json:"levels"`   // compatibility by subject, "" for all
}

// defaultLevel is the compatibility of a subject that sets none.
const defaultLevel = "BACKWARD_TRANSITIVE"

// Open reads the registry's file under dir, or begins one.
func Open(dir string, compatible Compatible, valid func(string) error) (*Registry, error) {
	r := &Registry{path: filepath.Join(dir, "registry.json"), compatible: compatible, valid: valid}
	r.state = state{Subjects: map[string][]int{}, Levels: map[string]string{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making registry directory: %w", err)
	}
	b, err := os.ReadFile(r.path)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading registry: %w", err)
	}
	if err := json.Unmarshal(b, &r.state); err != nil {
		return nil, fmt.Errorf("reading registry %s: %w", r.path, err)
	}
	return r, nil
}

// save writes the state so that a crash leaves the old file or the new one.
func (r *Registry) save() error {
	b, err := json.Marshal(r.state)
	if err != nil {
		return fmt.Errorf("encoding registry: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(r.path), "registry-*")
	if err != nil {
		return fmt.Errorf("writing registry: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), r.path)
	}
	if err != nil {
		return fmt.Errorf("writing registry: %w", err)
	}
	return nil
}

// apiError is an error in the registry's own form.
type apiError struct {
	status, code int
	message      string
}

// Error gives the message.
func (e *apiError) Error() string { return e.message }

func notFound(code int, format string, args ...any) error {
	return &apiError{http.StatusNotFound, code, fmt.Sprintf(format, args...)}
}

// canonical brings a schema to one spelling, so that white space makes no new
// version.
func canonical(text string) (string, error) {
	var v any
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber() // a float would round a default past 2^53
	if err := dec.Decode(&v); err != nil {
		return "", &apiError{http.StatusUnprocessableEntity, 42201, "Invalid schema: " + err.Error()}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", &apiError{http.StatusUnprocessableEntity, 42201, "Invalid schema: text behind it"}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("encoding schema: %w", err)
	}
	return strings.TrimSpace(b.String()), nil
}

// Register gives the id of a schema under a subject, entering it when it is new
// and compatible.
func (r *Registry) Register(subject, text string) (int, error) {
	text, err := canonical(text)
	if err != nil {
		return 0, err
	}
	if err := r.valid(text); err != nil {
		return 0, &apiError{http.StatusUnprocessableEntity, 42201, "Invalid schema: " + err.Error()}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := slices.Index(r.state.Schemas, text) + 1
	if id > 0 && slices.Contains(r.state.Subjects[subject], id) {
		return id, nil
	}
	if err := r.check(subject, text); err != nil {
		return 0, err
	}
	old := r.state
	if id == 0 {
		r.state.Schemas = append(slices.Clone(old.Schemas), text)
		id = len(r.state.Schemas)
	}
	before := r.state.Subjects[subject]
	r.state.Subjects[subject] = append(slices.Clone(before), id)
	if err := r.save(); err != nil {
		r.state.Schemas = old.Schemas
		r.state.Subjects[subject] = before
		if before == nil {
			delete(r.state.Subjects, subject)
		}
		return 0, err
	}
	return id, nil
}

// check holds a schema against the subject's versions at its level.
func (r *Registry) check(subject, text string) error {
	level := r.level(subject)
	ids := r.state.Subjects[subject]
	if level == "NONE" || len(ids) == 0 {
		return nil
	}
	if !strings.HasSuffix(level, "_TRANSITIVE") {
		ids = ids[len(ids)-1:]
	}
	for _, id := range ids {
		old := r.state.Schemas[id-1]
		var err error
		if strings.HasPrefix(level, "BACKWARD") || strings.HasPrefix(level, "FULL") {
			err = r.compatible(text, old)
		}
		if err == nil && (strings.HasPrefix(level, "FORWARD") || strings.HasPrefix(level, "FULL")) {
			err = r.compatible(old, text)
		}
		if err != nil {
			return &apiError{http.StatusConflict, 409, fmt.Sprintf("Schema being registered is incompatible with an earlier schema (id %d) for subject %q: %v", id, subject, err)}
		}
	}
	return nil
}

func (r *Registry) level(subject string) string {
	for _, s := range []string{subject, ""} {
		if l := r.state.Levels[s]; l != "" {
			return l
		}
	}
	return defaultLevel
}

// ServeHTTP answers the REST interface.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	out, err := r.route(req)
	w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	if err != nil {
		var e *apiError
		if !errors.As(err, &e) {
			e = &apiError{http.StatusInternalServerError, 50001, "Error in the backend data store"}
		}
		w.WriteHeader(e.status)
		out = map[string]any{"error_code": e.code, "message": e.message}
	}
	_ = json.NewEncoder(w).Encode(out) // fails only when the client is gone
}

func (r *Registry) route(req *http.Request) (any, error) {
	parts := strings.Split(strings.Trim(req.URL.EscapedPath(), "/"), "/")
	for i := range parts {
		p, err := pathUnescape(parts[i])
		if err != nil {
			return nil, err
		}
		parts[i] = p
	}
	switch parts[0] {
	case "":
		return map[string]any{}, nil
	case "subjects":
		return r.subjects(req, parts[1:])
	case "schemas":
		return r.schemas(parts[1:])
	case "config":
		return r.config(req, parts[1:])
	case "mode":
		return map[string]string{"mode": "READWRITE"}, nil
	case "compatibility":
		return r.compatibility(req, parts[1:])
	}
	return nil, notFound(404, "HTTP 404 Not Found")
}

// body is what requests carry.
type body struct {
	Schema        string `json:"schema"`
	SchemaType    string `json:"schemaType"`
	Compatibility string `json:"compatibility"`
}

func read(req *http.Request) (b body, err error) {
	if err := json.NewDecoder(io.LimitReader(req.Body, 1<<20)).Decode(&b); err != nil {
		return b, &apiError{http.StatusUnprocessableEntity, 422, "malformed JSON: " + err.Error()}
	}
	if b.SchemaType != "" && b.SchemaType != "AVRO" {
		return b, &apiError{http.StatusUnprocessableEntity, 42201, "Invalid schema type " + b.SchemaType + ": this registry knows AVRO"}
	}
	return b, nil
}

// number reads a version: a number or "latest".
func (r *Registry) number(subject, s string) (int, error) {
	ids, ok := r.state.Subjects[subject]
	if !ok {
		return 0, notFound(40401, "Subject '%s' not found.", subject)
	}
	n, err := strconv.Atoi(s)
	if s == "latest" || s == "-1" {
		n, err = len(ids), nil
	}
	if err != nil || n < 1 {
		return 0, &apiError{http.StatusUnprocessableEntity, 42202, "The specified version '" + s + "' is not a valid version id."}
	}
	if n > len(ids) {
		return 0, notFound(40402, "Version %d not found.", n)
	}
	return n, nil
}

func (r *Registry) describe(subject string, version int) map[string]any {
	id := r.state.Subjects[subject][version-1]
	return map[string]any{"subject": subject, "version": version, "id": id, "schema": r.state.Schemas[id-1], "schemaType": "AVRO"}
}
