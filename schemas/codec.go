package schemas

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/avro"
)

// The ways in which a value can't be decoded. The first three are final for the
// record; ErrRegistry passes when the registry is back.
var (
	ErrFrame         = errors.New("not in Confluent framing")
	ErrUnknownSchema = errors.New("the registry knows no schema of this id")
	ErrBody          = errors.New("the body does not fit its schema")
	ErrRegistry      = errors.New("the schema registry can't be asked")
)

// Registry keeps schemas under ids.
type Registry interface {
	// Register gives the id of the schema under a subject, entering it first
	// where it is new.
	Register(ctx context.Context, subject, schema string) (int, error)
	// Schema gives a schema by id. ErrUnknownSchema: there is none; ErrRegistry:
	// it can't be asked.
	Schema(ctx context.Context, id int) (string, error)
}

// frameSize is the length of the Confluent prefix.
const frameSize = 5

// maxResolved bounds the foreign writer schemas a codec remembers, so that
// hostile ids can't fill memory.
const maxResolved = 256

// forgetUnknown is how long an id the registry didn't know is not asked for
// again.
const forgetUnknown = 30 * time.Second

// Codec encodes under this program's newest schemas and decodes whatever the
// registry knows. It is safe for concurrent use.
type Codec struct {
	registry Registry
	kinds    map[Name]*kind
	// readingID is kinds[Reading].id, kept apart because each reading needs it.
	readingID int

	mu       sync.RWMutex // guards resolved
	resolved map[resolvedKey]resolution
}

// kind is the newest schema of a kind of record.
type kind struct {
	prefix [frameSize]byte
	id     int
	schema *avro.Schema
}

type resolvedKey struct {
	name Name
	id   int
}

// resolution is a reader of one foreign writer schema, or the reason why there
// is none, until when.
type resolution struct {
	schema *avro.Schema
	err    error
	until  time.Time
}

// NewCodec enters the newest schemas in the registry and learns their ids.
func NewCodec(ctx context.Context, reg Registry) (*Codec, error) {
	c := &Codec{registry: reg, kinds: map[Name]*kind{}, resolved: map[resolvedKey]resolution{}}
	for _, n := range Names() {
		text, s, err := latest(n)
		if err != nil {
			return nil, err
		}
		id, err := reg.Register(ctx, n.Subject(), text)
		if err != nil {
			return nil, fmt.Errorf("registering schema of %s: %w", n, err)
		}
		k := &kind{id: id, schema: s}
		binary.BigEndian.PutUint32(k.prefix[1:], uint32(id))
		c.kinds[n] = k
	}
	c.readingID = c.kinds[Reading].id
	return c, nil
}

// NewStaticCodec is a codec without a registry, with ids 1, 2, … in the order of
// Names, for measurements.
func NewStaticCodec() (*Codec, error) { return NewCodec(context.Background(), &staticRegistry{}) }

type staticRegistry struct{ n int }

func (s *staticRegistry) Register(context.Context, string, string) (int, error) {
	s.n++
	return s.n, nil
}

func (s *staticRegistry) Schema(context.Context, int) (string, error) { return "", ErrUnknownSchema }

// split takes a frame apart.
func split(frame []byte) (id int, body []byte, err error) {
	if len(frame) < frameSize || frame[0] != 0 {
		return 0, nil, ErrFrame
	}
	return int(binary.BigEndian.Uint32(frame[1:])), frame[frameSize:], nil
}

// append encodes v by reflection.
func (c *Codec) append(dst []byte, n Name, v any) ([]byte, error) {
	k := c.kinds[n]
	out, err := k.schema.AppendEncode(append(dst, k.prefix[:]...), v)
	if err != nil {
		return dst, fmt.Errorf("encoding %s: %w", n, err)
	}
	return out, nil
}

// decode decodes a frame by reflection, resolving the writer's schema.
func (c *Codec) decode(frame []byte, n Name, v any) error {
	id, body, err := split(frame)
	if err != nil {
		return err
	}
	schema, err := c.reader(n, id)
	if err != nil {
		return err
	}
	rest, err := schema.Decode(body, v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBody, err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: %d bytes left over", ErrBody, len(rest))
	}
	return nil
}

// reader gives the schema that decodes what was written under id.
func (c *Codec) reader(n Name, id int) (*avro.Schema, error) {
	k := c.kinds[n]
	if id == k.id {
		return k.schema, nil
	}
	key := resolvedKey{n, id}
	c.mu.RLock()
	r, ok := c.resolved[key]
	c.mu.RUnlock()
	if ok && (r.err == nil || time.Now().Before(r.until)) {
		return r.schema, r.err
	}
	r.schema, r.err = c.resolve(k.schema, id)
	if errors.Is(r.err, ErrRegistry) {
		return nil, r.err
	}
	r.until = time.Now().Add(forgetUnknown)
	c.mu.Lock()
	if len(c.resolved) >= maxResolved {
		clear(c.resolved)
	}
	c.resolved[key] = r
	c.mu.Unlock()
	return r.schema, r.err
}

func (c *Codec) resolve(reader *avro.Schema, id int) (*avro.Schema, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	text, err := c.registry.Schema(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("looking up schema %d: %w", id, err)
	}
	writer, err := avro.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: schema %d: %w", ErrUnknownSchema, id, err)
	}
	s, err := avro.Resolve(writer, reader)
	if err != nil {
		return nil, fmt.Errorf("%w: schema %d is of another kind: %w", ErrUnknownSchema, id, err)
	}
	return s, nil
}
