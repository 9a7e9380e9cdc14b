package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// cursors makes and reads the cursors of one list as one caller sees it: the
// tag binds them to tenant, route, filter and sort, so a cursor of another list
// is refused instead of giving a page that means nothing.
type cursors struct {
	secret []byte
	bound  string
}

// maxCursor bounds what is read as a cursor; the longest, of stops, holds a reason.
const maxCursor = 4096

// tagBytes of HMAC-SHA-256 keep a cursor short; nothing is secret in it, and a
// forged one would only page the caller's own list.
const tagBytes = 12

func (s *Server) cursors(tenant, route string, bound ...string) cursors {
	return cursors{s.cfg.Secret, strings.Join(append([]string{"cursor", tenant, route}, bound...), "\x00")}
}

func (c cursors) tag(position string) []byte {
	m := hmac.New(sha256.New, c.secret)
	m.Write([]byte(c.bound + "\x00\x00" + position))
	return m.Sum(nil)[:tagBytes]
}

// make gives the cursor of a position, nil when nothing follows.
func (c cursors) make(more bool, position string) *string {
	if !more {
		return nil
	}
	text := base64.RawURLEncoding.EncodeToString(append(c.tag(position), position...))
	return &text
}

// read gives the position of a cursor, "" for none.
func (c cursors) read(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	bad := fault.New(fault.BadRequest, "the cursor is none of this list with these filters")
	bad.Items = []fault.Item{{Location: "cursor", Rule: "cursor", Message: "is no cursor of this list with these filters"}}
	if len(cursor) > maxCursor {
		return "", bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(b) <= tagBytes {
		return "", bad
	}
	position := string(b[tagBytes:])
	if !hmac.Equal(b[:tagBytes], c.tag(position)) {
		return "", bad
	}
	return position, nil
}

// placeAt is the position of a thing in a list that is ordered by time, then id.
func placeAt(at time.Time, id plant.ID) string {
	return at.Format(time.RFC3339Nano) + " " + id.String()
}

// readPlace undoes placeAt. The cursor's tag says that we made the position, so
// it has the form we gave it.
func readPlace(position string) (at time.Time, id plant.ID, err error) {
	first, second, _ := strings.Cut(position, " ")
	if at, err = time.Parse(time.RFC3339Nano, first); err != nil {
		return at, id, fmt.Errorf("reading cursor: %w", err)
	}
	if id, err = plant.ParseID(second); err != nil {
		return at, id, fmt.Errorf("reading cursor: %w", err)
	}
	return at, id, nil
}
