package plant

import (
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
)

// ID is a 16-byte identifier, a UUIDv7 unless it came from outside. The zero
// ID means "none".
type ID [16]byte

// NewID makes a UUIDv7: its first 48 bits are the wall clock in milliseconds,
// so ids sort by the time they were made.
func NewID() ID { return ID(uuid.Must(uuid.NewV7())) }

// NameID derives a UUIDv5 from a namespace and parts; the same parts always
// give the same id. Parts are joined by a zero byte, so ("a","bc") and
// ("ab","c") differ.
func NameID(space ID, parts ...string) ID {
	var b []byte
	for _, p := range parts {
		b = append(append(b, p...), 0)
	}
	return ID(uuid.NewSHA1(uuid.UUID(space), b))
}

// ParseID reads the canonical 36-character form.
func ParseID(s string) (ID, error) {
	if len(s) != 36 {
		return ID{}, fmt.Errorf("parsing id: want 36 characters, got %d", len(s))
	}
	u, err := uuid.Parse(s)
	if err != nil {
		return ID{}, fmt.Errorf("parsing id: %w", err)
	}
	return ID(u), nil
}

// MustID is ParseID for constants; it panics.
func MustID(s string) ID {
	id, err := ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

// IsZero reports whether the id means "none".
func (id ID) IsZero() bool { return id == ID{} }

// String gives the canonical lower-case form.
func (id ID) String() string {
	var b [36]byte
	id.put(&b)
	return string(b[:])
}

// AppendText appends the canonical form without allocating.
func (id ID) AppendText(dst []byte) ([]byte, error) {
	var b [36]byte
	id.put(&b)
	return append(dst, b[:]...), nil
}

// MarshalText gives the canonical form.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// UnmarshalText reads the canonical form.
func (id *ID) UnmarshalText(b []byte) error {
	v, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = v
	return nil
}

func (id ID) put(b *[36]byte) {
	hex.Encode(b[0:8], id[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], id[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], id[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], id[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], id[10:16])
}
