package embedded

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// shape is what a format's output looks like when the engine writes it piece by
// piece. The engine begins each piece as if it were the whole answer.
type shape uint8

const (
	shapeWhole  shape = iota // has a frame around its rows, so it is asked for in one piece
	shapeRows                // rows one behind the other; pieces can be joined as they are
	shapeHeaded              // rows behind a header, which only the first piece may keep
)

// shapeOf sorts the formats. What isn't known to be joinable is taken whole.
func shapeOf(format string) shape {
	switch format {
	case "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "Raw", "LineAsString", "RawBLOB", "CSV", "TSKV",
		"JSONEachRow", "JSONLines", "JSONL", "NDJSON", "JSONStringsEachRow", "JSONCompactEachRow", "JSONCompactStringsEachRow",
		"JSONEachRowWithProgress", "JSONStringsEachRowWithProgress", "RowBinary", "Native", "MsgPack", "BSONEachRow", "Null":
		return shapeRows
	}
	if lines, binary := header(format); lines > 0 || binary {
		return shapeHeaded
	}
	return shapeWhole
}

// header says how many lines a format's header has, or that it is RowBinary's.
func header(format string) (lines int, binary bool) {
	base, types := strings.CutSuffix(format, "WithNamesAndTypes")
	if !types {
		var names bool
		if base, names = strings.CutSuffix(format, "WithNames"); !names {
			return 0, false
		}
	}
	switch base {
	case "RowBinary":
		return 0, true
	case "TabSeparated", "TSV", "CSV", "JSONCompactEachRow", "JSONCompactStringsEachRow":
		if types {
			return 2, false
		}
		return 1, false
	}
	return 0, false
}

// joiner makes one answer of pieces that each begin with the same header.
type joiner struct {
	format string
	seen   bool
	header []byte
}

// piece gives the part of b that belongs into the answer.
func (j *joiner) piece(b []byte) []byte {
	if !j.seen {
		j.seen = true
		j.header = bytes.Clone(b[:headerLength(j.format, b)])
		return b
	}
	return bytes.TrimPrefix(b, j.header)
}

// headerLength finds the end of the header that b begins with; 0 when b has no
// whole one.
func headerLength(format string, b []byte) int {
	lines, bin := header(format)
	if bin {
		return binaryHeader(b, strings.HasSuffix(format, "AndTypes"))
	}
	quoted := strings.HasPrefix(format, "CSV") // a name in quotes may hold a line break
	in := false
	for i, c := range b {
		switch {
		case c == '"' && quoted:
			in = !in
		case c == '\n' && !in:
			if lines--; lines == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// binaryHeader is the number of columns, then their names, then their types.
func binaryHeader(b []byte, types bool) int {
	n, pos := binary.Uvarint(b)
	if pos <= 0 {
		return 0
	}
	if types {
		n *= 2
	}
	for range n {
		length, size := binary.Uvarint(b[pos:])
		if size <= 0 || length > uint64(len(b)-pos-size) {
			return 0
		}
		pos += size + int(length)
	}
	return pos
}
