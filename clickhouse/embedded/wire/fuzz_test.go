package wire_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"testing"

	"github.com/foodflow/foodflow/clickhouse/embedded/wire"
)

// FuzzStatement: any text is a statement or an error; what it was taken for
// agrees with itself.
func FuzzStatement(f *testing.F) {
	for _, s := range []string{
		"SELECT 1 FORMAT JSON", "INSERT INTO t (a, b) FORMAT CSV\n1,2\n", "INSERT INTO t VALUES (1, 'FORMAT; (')", "/* FORMAT x */ SELECT 'a\\'b' -- c",
		"WITH 1 AS a INSERT INTO FUNCTION null('a UInt8') SELECT a", "CREATE TEMPORARY TABLE t (a UInt8)", "SET max_threads = 1", "SHOW TABLES",
		"INSERT INTO t SETTINGS async_insert=1 FORMAT Native", "SELECT \"a\" FROM `b` INTO OUTFILE 'x' FORMAT TSV;", "KILL QUERY WHERE query_id = 'x'", "'", "/*", "$$", "",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, follows bool) {
		st, err := wire.Parse(text, follows)
		if err != nil {
			return
		}
		st.Head()
		st.Escapes()
		st.LeavesTraces()
		if st.Kind == wire.Insert && st.ReadOnly() == nil {
			t.Fatalf("an insert passes as reading: %q", text)
		}
		same, err := st.MapTexts(func(string) (string, bool, error) { return "", false, nil })
		if err != nil || same.Text != st.Text {
			t.Fatalf("%q became %q: %v", st.Text, same.Text, err)
		}
	})
}

// FuzzDecode: a body in any encoding and framing ends, in bytes or an error.
func FuzzDecode(f *testing.F) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write([]byte("1\n2\n")); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	for _, enc := range []string{"", "gzip", "deflate", "br", "zstd", "lz4"} {
		f.Add(enc, true, z.Bytes())
		f.Add(enc, false, z.Bytes())
	}
	frame := append(make([]byte, 16), 0x82, 0x13, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f)
	f.Add("", true, frame)
	f.Fuzz(func(_ *testing.T, enc string, framed bool, body []byte) {
		r := &http.Request{Header: http.Header{"Content-Encoding": {enc}}, Body: io.NopCloser(bytes.NewReader(body))}
		dec, err := wire.Decode(r, framed)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(dec, 16<<20)) // that it comes back is all that is asked
	})
}
