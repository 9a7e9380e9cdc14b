package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

// things is what masterdata offers for each kind of thing.
type things[T any] interface {
	Get(ctx context.Context, tenant plant.ID, idOrKey string) (*T, error)
	List(ctx context.Context, tenant plant.ID, p masterdata.Page) ([]*T, bool, error)
	Create(ctx context.Context, who masterdata.Actor, thing *T) error
	Update(ctx context.Context, who masterdata.Actor, idOrKey string, expected int64, change func(*T) error) (*T, error)
	Delete(ctx context.Context, who masterdata.Actor, idOrKey string, expected int64) error
}

// resource is one kind of thing as routes: T is stored, F is what a user says
// of it.
type resource[T, F any] struct {
	path, noun, tag string
	things          things[T]
	fields          func(*T) *F
	meta            func(*T) *masterdata.Meta
	key             func(*T) string
	write           Roles
	read            Roles // nil: readers
	// bookkept things hold times that move without a new version: who has the
	// version may still not have those, so a read is never answered 304.
	bookkept bool
	// check looks at a change before it is made; nil: nothing to look at.
	check func(before, after *T) error
	about string // what check holds, in words, for the document
}

// Page is how lists are answered.
type Page[T any] struct {
	Items      []T     `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor" doc:"null: there is no more"`
}

// ListIn is the paging of a list. It is exported, as are the other embedded
// inputs, because huma looks for parameters in exported fields only.
type ListIn struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before"`
	Sort   string `query:"sort" enum:"id,-id,key,-key" default:"id" doc:"id is the order of creation; - turns it round"`
}

func (l ListIn) base() ListIn { return l }

// lister is a list's input: the paging and its filters by column.
type lister interface {
	base() ListIn
	where() map[string]string
}

type plainList struct{ ListIn }

func (plainList) where() map[string]string { return nil }

type oneIn struct {
	ID          string `path:"id" maxLength:"200" doc:"id or key"`
	IfNoneMatch string `header:"If-None-Match" doc:"ETags that the caller has: answer 304 while one of them holds"`
}

// wholeIn names a thing that is always answered whole.
type wholeIn struct {
	ID string `path:"id" maxLength:"200" doc:"id or key"`
}

// ChangeIn names a thing and its version.
type ChangeIn struct {
	ID      string `path:"id" maxLength:"200" doc:"id or key"`
	IfMatch string `header:"If-Match" doc:"ETag of the version that is changed, or *"`
}

type patchIn struct {
	ChangeIn
	RawBody []byte `contentType:"application/merge-patch+json"`
}

type createIn[F any] struct{ Body F }

type oneOut[T any] struct {
	ETag string `header:"ETag"`
	Body *T
}

type createdOut[T any] struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     *T
}

type listOut[T any] struct{ Body Page[*T] }

type emptyOut struct{}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// expected reads If-Match: a version is required, so that nobody changes what
// they haven't seen; * says that any will do.
func expected(ifMatch string) (int64, error) {
	switch ifMatch {
	case "":
		return 0, fault.New(fault.PreconditionRequired, "If-Match must name the version that is changed, or be *")
	case "*":
		return masterdata.AnyVersion, nil
	}
	text, ok := strings.CutPrefix(ifMatch, `"`)
	text, end := strings.CutSuffix(text, `"`)
	v, err := strconv.ParseInt(text, 10, 64)
	if !ok || !end || err != nil || v < 1 {
		return 0, fault.New(fault.PreconditionFailed, "If-Match is not an ETag of this resource")
	}
	return v, nil
}

func (r *resource[T, F]) readers() Roles {
	if r.read != nil {
		return r.read
	}
	return readers()
}

func (r *resource[T, F]) op(method, suffix, id, summary string) huma.Operation {
	return huma.Operation{Method: method, Path: r.path + suffix, OperationID: id + "-" + r.noun, Summary: summary, Tags: []string{r.tag}}
}

// crudRoutes declares list, get, create, change and delete.
func crudRoutes[T, F any, L lister](s *Server, r *resource[T, F]) {
	listRoute[T, F, L](s, r)
	r.getRoute(s)
	r.createRoute(s)
	r.patchRoute(s)
	r.deleteRoute(s)
}

// listRoute is apart from the others because its input differs by resource.
func listRoute[T, F any, L lister](s *Server, r *resource[T, F]) {
	handle(s, r.readers(), r.op(http.MethodGet, "", "list", "List "+r.tag), func(ctx context.Context, in *L) (*listOut[T], error) {
		who := principal(ctx)
		base, where := (*in).base(), (*in).where()
		p := masterdata.Page{Limit: base.Limit, Where: where}
		p.Sort, p.Descending = strings.CutPrefix(base.Sort, "-")
		bound := []string{base.Sort}
		for _, k := range slices.Sorted(maps.Keys(where)) {
			bound = append(bound, k, where[k])
		}
		c := s.cursors(who.Tenant.String(), r.path, bound...)
		var err error
		if p.After, err = c.read(base.Cursor); err != nil {
			return nil, err
		}
		items, more, err := r.things.List(ctx, who.Tenant, p)
		if err != nil {
			return nil, err
		}
		out := &listOut[T]{Body: Page[*T]{Items: items}}
		if len(items) > 0 {
			last := items[len(items)-1]
			position := r.meta(last).ID.String()
			if p.Sort == "key" {
				position = r.key(last)
			}
			out.Body.NextCursor = c.make(more, position)
		}
		return out, nil
	})
}

func (r *resource[T, F]) getRoute(s *Server) {
	get := func(ctx context.Context, id string) (*oneOut[T], error) {
		x, err := r.things.Get(ctx, principal(ctx).Tenant, id)
		if err != nil {
			return nil, err
		}
		return &oneOut[T]{etag(r.meta(x).Version), x}, nil
	}
	op := r.op(http.MethodGet, "/{id}", "get", "Read "+one(r.noun))
	if r.bookkept {
		handle(s, r.readers(), op, func(ctx context.Context, in *wholeIn) (*oneOut[T], error) { return get(ctx, in.ID) })
		return
	}
	handle(s, r.readers(), op, func(ctx context.Context, in *oneIn) (*oneOut[T], error) { return get(ctx, in.ID) })
}

func (r *resource[T, F]) createRoute(s *Server) {
	op := r.op(http.MethodPost, "", "create", "Create "+one(r.noun))
	op.DefaultStatus = http.StatusCreated
	op.Errors = []int{http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError}
	handle(s, r.write, changesOnce(op), func(ctx context.Context, in *createIn[F]) (*createdOut[T], error) {
		x := new(T)
		*r.fields(x) = in.Body
		if err := r.things.Create(ctx, principal(ctx).Actor(), x); err != nil {
			return nil, err
		}
		return &createdOut[T]{etag(r.meta(x).Version), r.path + "/" + r.meta(x).ID.String(), x}, nil
	})
}

func (r *resource[T, F]) patchRoute(s *Server) {
	op := r.op(http.MethodPatch, "/{id}", "update", "Change "+one(r.noun))
	op.Description = "A JSON merge patch (RFC 7396): what is named changes, null takes away; one that changes nothing leaves the version as it is."
	if r.about != "" {
		op.Description += " " + r.about
	}
	op.Errors = []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity, http.StatusPreconditionRequired, http.StatusTooManyRequests, http.StatusInternalServerError}
	handle(s, r.write, op, func(ctx context.Context, in *patchIn) (*oneOut[T], error) {
		version, err := expected(in.IfMatch)
		if err != nil {
			return nil, err
		}
		x, err := r.things.Update(ctx, principal(ctx).Actor(), in.ID, version, func(x *T) error {
			before := *x
			f, err := merge(*r.fields(x), in.RawBody)
			if err != nil {
				return err
			}
			*r.fields(x) = f
			if r.check == nil {
				return nil
			}
			return r.check(&before, x)
		})
		if err != nil {
			return nil, err
		}
		return &oneOut[T]{etag(r.meta(x).Version), x}, nil
	})
	documentPatch[F](s, op.Path)
}

// documentPatch shows the patch as what it is: the fields, none of them required.
func documentPatch[F any](s *Server, path string) {
	full := s.OpenAPI().Components.Schemas.Schema(typeOf[F](), false, "")
	partial := *full
	partial.Required = nil
	partial.PrecomputeMessages()
	s.OpenAPI().Paths[path].Patch.RequestBody.Content = map[string]*huma.MediaType{
		"application/merge-patch+json": {Schema: &partial}, "application/json": {Schema: &partial},
	}
}

func (r *resource[T, F]) deleteRoute(s *Server) {
	op := r.op(http.MethodDelete, "/{id}", "delete", "Delete "+one(r.noun))
	op.DefaultStatus = http.StatusNoContent
	op.Errors = []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired, http.StatusTooManyRequests, http.StatusInternalServerError}
	handle(s, r.write, op, func(ctx context.Context, in *ChangeIn) (*emptyOut, error) {
		version, err := expected(in.IfMatch)
		if err != nil {
			return nil, err
		}
		return &emptyOut{}, r.things.Delete(ctx, principal(ctx).Actor(), in.ID, version)
	})
}

// merge applies a merge patch to what a user may say. What isn't a field is
// refused, so nothing else can be written.
func merge[F any](current F, patch []byte) (F, error) {
	var out F
	var change map[string]any
	if err := decodeJSON(patch, &change); err != nil || change == nil {
		return out, fault.New(fault.BadRequest, "the body must be a JSON object")
	}
	if where, found := repeated(patch); found {
		return out, fault.NewInvalid(fault.Item{Location: where, Rule: "duplicate", Message: twice})
	}
	if it, found := unkeepable(change, ""); found {
		return out, fault.NewInvalid(it)
	}
	// By exact name: the decoder would take other spellings, and null for a
	// field that isn't there would pass as nothing to take away.
	if name := unknownField(typeOf[F](), change); name != "" {
		return out, fault.NewInvalid(fault.Item{Location: name, Rule: "unknown", Message: "can't be changed, or doesn't exist"})
	}
	text, err := json.Marshal(current)
	if err != nil {
		return out, err
	}
	var have map[string]any
	if err := decodeJSON(text, &have); err != nil {
		return out, err
	}
	if text, err = json.Marshal(apply(have, change)); err != nil {
		return out, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		return out, fault.NewInvalid(patchFault(err))
	}
	return out, nil
}

// unknownField gives the path of a property, at any depth, that no field of a
// type has by that very name, or "".
func unknownField(t reflect.Type, v any) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch v := v.(type) {
	case map[string]any:
		if t.Kind() != reflect.Struct {
			return ""
		}
		fields := fieldTypes(t)
		for name, within := range v {
			field, ok := fields[name]
			if !ok {
				return name
			}
			if deeper := unknownField(field, within); strings.HasPrefix(deeper, "[") {
				return name + deeper
			} else if deeper != "" {
				return name + "." + deeper
			}
		}
	case []any:
		if t.Kind() != reflect.Slice {
			return ""
		}
		for i, item := range v {
			if deeper := unknownField(t.Elem(), item); deeper != "" {
				return "[" + strconv.Itoa(i) + "]." + deeper
			}
		}
	}
	return ""
}

// fieldTypes gives the types of a struct's fields by their JSON names.
func fieldTypes(t reflect.Type) map[string]reflect.Type {
	types := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		types[name] = t.Field(i).Type
	}
	return types
}

func patchFault(err error) fault.Item {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fault.Item{Location: wrong.Field, Rule: "type", Message: "must not be a " + wrong.Value}
	}
	if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
		return fault.Item{Location: strings.Trim(name, `"`), Rule: "unknown", Message: "can't be changed, or doesn't exist"}
	}
	return fault.Item{Location: "", Rule: "value", Message: "holds a value that a field can't take"}
}

func decodeJSON(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("more than one JSON value")
	}
	return nil
}

// apply is RFC 7396, section 2.
func apply(target, patch map[string]any) map[string]any {
	if target == nil {
		target = map[string]any{}
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(target, k)
		case map[string]any:
			under, _ := target[k].(map[string]any)
			target[k] = apply(under, v)
		default:
			target[k] = v
		}
	}
	return target
}
