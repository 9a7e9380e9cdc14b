package schemas

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/avro"
)

// A frame's id is a stranger's word, so what is remembered of ids is bounded,
// and schemas that resolved are kept apart from ids that did not: a flood of
// made-up ids can't push out the former.
const (
	maxResolved = 256
	maxRefused  = 4096
	// forgetRefused is how long an id that led nowhere is not asked for again.
	forgetRefused = 30 * time.Second
	// lookupTimeout bounds the wait for the registry.
	lookupTimeout = 5 * time.Second
	// maxID is the largest id that registries give: they count in 32 bits with
	// a sign. A larger one is refused unasked.
	maxID = 1<<31 - 1
)

// resolver finds readers for schemas that other programs wrote under.
type resolver struct {
	registry Registry
	now      func() time.Time

	mu       sync.RWMutex // guards resolved, refused
	resolved map[foreign]resolution
	refused  map[foreign]refusal
}

// resolution reads what was written under a foreign schema.
type resolution struct {
	schema *avro.Schema
	flat   *flatReading // of a reading whose schema is flat, else nil
}

// foreign is a writer's schema met where records of a kind are read.
type foreign struct {
	name Name
	id   int
}

// refusal is why there is no reader, until when that is believed.
type refusal struct {
	err   error
	until time.Time
}

func newResolver(reg Registry) *resolver {
	return &resolver{registry: reg, now: time.Now, resolved: map[foreign]resolution{}, refused: map[foreign]refusal{}}
}

// reader gives the schema that reads into want what was written under id.
func (r *resolver) reader(n Name, id int, want *avro.Schema) (resolution, error) {
	if id > maxID {
		return resolution{}, ErrUnknownSchema
	}
	key := foreign{n, id}
	r.mu.RLock()
	s, ok := r.resolved[key]
	no, refused := r.refused[key]
	r.mu.RUnlock()
	switch {
	case ok:
		return s, nil
	case refused && r.now().Before(no.until):
		return resolution{}, no.err
	}
	s, err := r.ask(n, id, want)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		makeRoom(r.resolved, maxResolved)
		r.resolved[key] = s
		delete(r.refused, key)
	case errors.Is(err, ErrUnknownSchema):
		makeRoom(r.refused, maxRefused)
		r.refused[key] = refusal{err, r.now().Add(forgetRefused)}
	}
	return s, err
}

// makeRoom drops any one entry of a full map: which one does not matter, since
// each can be had again.
func makeRoom[K comparable, V any](m map[K]V, limit int) {
	if len(m) < limit {
		return
	}
	for k := range m {
		delete(m, k)
		return
	}
}

// ask fetches the writer's schema. What it returns is nil, ErrUnknownSchema or,
// for anything that may pass, ErrRegistry.
func (r *resolver) ask(n Name, id int, want *avro.Schema) (resolution, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	text, err := r.registry.Schema(ctx, id)
	switch {
	case errors.Is(err, ErrUnknownSchema):
		return resolution{}, fmt.Errorf("looking up schema %d: %w", id, err)
	case err != nil && !errors.Is(err, ErrRegistry):
		return resolution{}, fmt.Errorf("looking up schema %d: %w: %w", id, ErrRegistry, err)
	case err != nil:
		return resolution{}, fmt.Errorf("looking up schema %d: %w", id, err)
	}
	writer, err := parse(text)
	if err != nil {
		return resolution{}, fmt.Errorf("%w: schema %d: %w", ErrUnknownSchema, id, err)
	}
	s, err := avro.Resolve(writer, want)
	if err != nil {
		return resolution{}, fmt.Errorf("%w: schema %d is of another kind: %w", ErrUnknownSchema, id, err)
	}
	out := resolution{schema: s}
	if n == Reading {
		out.flat = newFlatReading(text)
	}
	return out, nil
}
