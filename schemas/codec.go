package schemas

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

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

// Codec encodes under this program's newest schemas and decodes whatever the
// registry knows. It is safe for concurrent use.
type Codec struct {
	kinds map[Name]*kind
	// reading and event are kinds[Reading] and kinds[LineEvent], kept apart from
	// the map because every record needs them.
	reading, event kind
	foreign        *resolver
}

// kind is the newest schema of a kind of record.
type kind struct {
	prefix [frameSize]byte
	id     int
	schema *avro.Schema
}

// NewCodec enters the newest schemas in the registry and learns their ids.
func NewCodec(ctx context.Context, reg Registry) (*Codec, error) {
	c := &Codec{kinds: map[Name]*kind{}, foreign: newResolver(reg)}
	for _, n := range Names() {
		text, s, err := latest(n)
		if err != nil {
			return nil, err
		}
		id, err := reg.Register(ctx, n.Subject(), text)
		if err != nil {
			return nil, fmt.Errorf("registering schema of %s: %w", n, err)
		}
		if id < 0 || id > maxID {
			return nil, fmt.Errorf("registering schema of %s: id %d does not fit a frame", n, id)
		}
		k := &kind{id: id, schema: s}
		binary.BigEndian.PutUint32(k.prefix[1:], uint32(id))
		c.kinds[n] = k
	}
	c.reading, c.event = *c.kinds[Reading], *c.kinds[LineEvent]
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
	r, err := c.foreign.reader(n, id, k.schema)
	return r.schema, err
}
