package embedded

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestJoiner(t *testing.T) {
	bin := string(binary.AppendUvarint(nil, 1)) + "\x01a\x05UInt8"
	for _, tc := range []struct {
		format string
		pieces []string
		want   string
	}{
		{"CSVWithNames", []string{"\"a\nb\"\n1\n", "\"a\nb\"\n2\n", "\"a\nb\"\n"}, "\"a\nb\"\n1\n2\n"},
		{"TSVWithNamesAndTypes", []string{"a\nUInt8\n1\n", "a\nUInt8\n2\n"}, "a\nUInt8\n1\n2\n"},
		{"RowBinaryWithNamesAndTypes", []string{bin + "\x01", bin + "\x02", bin}, bin + "\x01\x02"},
		{"RowBinaryWithNames", []string{"\x01\x01a\x07", "\x01\x01a\x08"}, "\x01\x01a\x07\x08"},
		{"RowBinaryWithNames", []string{"\x09", "\x07"}, "\x09\x07"}, // no whole header: nothing is taken away
	} {
		j := joiner{format: tc.format}
		var got bytes.Buffer
		for _, p := range tc.pieces {
			got.Write(j.piece([]byte(p)))
		}
		if got.String() != tc.want {
			t.Errorf("%s: %q, want %q", tc.format, got.String(), tc.want)
		}
	}
}
