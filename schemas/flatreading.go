package schemas

import (
	"fmt"

	"github.com/foodflow/foodflow/internal/plant"
)

// flatReading reads readings that were written under another version, where its
// schema is flat and has every field by name. Resolution by reflection takes
// some thirty times as long, which a fleet that is being upgraded would feel;
// it stays the judge of whether a schema fits, and reads what is not flat.
type flatReading struct {
	columns   []column
	qualities [][]plant.Quality // by column, then by the writer's symbol
}

// The fields of a reading, in the order of readingFields.
const (
	fieldTenant = iota
	fieldLine
	fieldSensor
	fieldTS
	fieldValue
	fieldQuality
	fieldSeq
)

func readingFields() []field {
	uuid := func(t wire) bool { return t.kind == kindFixed && t.size == 16 }
	enum := func(t wire) bool { return t.kind == kindEnum }
	// Resolution looks at no logical type, so neither may this.
	integer := func(t wire) bool { return t.integer() && t.scale == 1 }
	return []field{
		{"tenant_id", uuid, true},
		{"line_id", uuid, true},
		{"sensor_id", uuid, true},
		{"ts", integer, true},
		{"value", wire.number, true},
		{"quality", enum, true},
		{"seq", integer, false},
	}
}

// newFlatReading compiles a writer's schema; nil where it must be resolved.
func newFlatReading(schema string) *flatReading {
	columns, err := compile([]byte(schema), readingFields())
	if err != nil {
		return nil
	}
	f := &flatReading{columns: columns, qualities: make([][]plant.Quality, len(columns))}
	for i, c := range columns {
		switch c.target {
		case fieldTenant, fieldLine, fieldSensor, fieldTS, fieldValue, fieldQuality:
			if c.union {
				return nil
			}
		}
		if c.target != fieldQuality {
			continue
		}
		for _, symbol := range c.types[0].symbols {
			q, ok := plant.ParseQuality(symbol)
			if !ok {
				q = plant.QualityUncertain // the enum's default
			}
			f.qualities[i] = append(f.qualities[i], q)
		}
	}
	return f
}

// decode reads a body into r.
func (f *flatReading) decode(body []byte, r *plant.Reading) error {
	cur := cursor{b: body, base: len(body)}
	r.Seq = plant.NoSeq
	for i := range f.columns {
		c := &f.columns[i]
		if c.target == fieldQuality {
			if n := cur.enum(len(f.qualities[i])); !cur.bad {
				r.Quality = f.qualities[i][n]
			}
			continue
		}
		var d datum
		c.read(&cur, &d)
		if cur.bad {
			return fmt.Errorf("%w: field %s", ErrBody, c.name)
		}
		switch c.target {
		case fieldTenant:
			r.Tenant = plant.ID(body[d.at : d.at+16])
		case fieldLine:
			r.Line = plant.ID(body[d.at : d.at+16])
		case fieldSensor:
			r.Sensor = plant.ID(body[d.at : d.at+16])
		case fieldTS:
			r.TS = d.long
		case fieldValue:
			r.Value = d.double
		case fieldSeq:
			if d.kind == kindLong {
				r.Seq = d.long
			}
		}
	}
	if cur.bad || len(cur.b) > 0 {
		return ErrBody
	}
	return checkReading(r)
}
