package embedded_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	chcompress "github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/klauspost/compress/gzip"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// breaks ends in an exception after so many bytes that its answer has begun.
const breaks = "SELECT number, throwIf(number = 900000, 'broke here') FROM numbers(1000000) SETTINGS max_block_size = 1000"

// TestMarkedException: what follows the rows of an answer that broke is the mark
// of ClickHouse 25.11 and later, inside whatever encoding was asked for, and HTTP
// itself says that the answer isn't whole.
func TestMarkedException(t *testing.T) {
	base := embeddedtest.Start(t)
	for _, tc := range []struct {
		params, accept string
		decode         func(io.Reader) (io.Reader, error)
	}{
		{"", "identity", func(r io.Reader) (io.Reader, error) { return r, nil }},
		{"", "gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"compress=1", "identity", func(r io.Reader) (io.Reader, error) { return chcompress.NewReader(r), nil }},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/?"+tc.params, strings.NewReader(breaks))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", tc.accept)
		resp, err := plainly.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s %s: the answer ends as if it were whole: %v", tc.params, tc.accept, err)
		}
		r, err := tc.decode(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r) // it was cut
		tag := resp.Header.Get("X-ClickHouse-Exception-Tag")
		mark := regexp.MustCompile(`(?s)\r\n__exception__\r\n` + tag + `\r\n(Code: 395\. DB::Exception: .*broke here.*\n)(\d+) ` + tag + `\r\n__exception__\r\n$`).FindStringSubmatch(string(text))
		if resp.StatusCode != 200 || len(tag) != 16 || mark == nil || fmt.Sprint(len(mark[1])) != mark[2] {
			t.Errorf("%s %s: %d, tag %q, the end is %q", tc.params, tc.accept, resp.StatusCode, tag, text[max(0, len(text)-300):])
		}
	}
}

// TestClientNoticesABrokenAnswer asks clickhouse-go, whole and broken.
func TestClientNoticesABrokenAnswer(t *testing.T) {
	base := embeddedtest.Start(t)
	for _, method := range []clickhouse.CompressionMethod{clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionGZIP} {
		conn, err := clickhouse.Open(&clickhouse.Options{Addr: []string{strings.TrimPrefix(base, "http://")}, Protocol: clickhouse.HTTP, Compression: &clickhouse.Compression{Method: method}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		read := func(statement string) (n int, err error) {
			rows, err := conn.Query(t.Context(), statement)
			if err != nil {
				return 0, err
			}
			defer rows.Close()
			for rows.Next() {
				n++
			}
			return n, rows.Err()
		}
		if n, err := read(breaks); err == nil {
			t.Errorf("%s: %d rows of a broken answer and no error", method, n)
		}
		if n, err := read(strings.Replace(breaks, "= 900000", "= 9000000", 1)); err != nil || n != 1_000_000 {
			t.Errorf("%s: control: %d rows, %v", method, n, err)
		}
	}
}

// TestHeldAnswers: what waits for its statement's end gets the exception's status;
// without waiting it is too late for that.
func TestHeldAnswers(t *testing.T) {
	base := embeddedtest.Start(t)
	for params, want := range map[string]int{"wait_end_of_query=1": 500, "wait_end_of_query=1&buffer_size=1000": 500, "buffer_size=60000000": 500, "": 200, "buffer_size=1000": 200} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/?"+params, strings.NewReader(breaks))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := plainly.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body) // broken where it was sent
		resp.Body.Close()
		if resp.StatusCode != want || (want == 500) != strings.HasPrefix(string(body), "Code: 395.") {
			t.Errorf("%s: %d %.100q, want %d", params, resp.StatusCode, body, want)
		}
	}
	_, out, h := post(t, base, "wait_end_of_query=1", "SELECT number FROM numbers(500000) FORMAT Null")
	if s := h.Get("X-ClickHouse-Summary"); !strings.Contains(s, `"read_rows":"500000"`) || out != "" {
		t.Errorf("summary %s", s)
	}
}

// TestForms sends statements, parameters and tables as a form.
func TestForms(t *testing.T) {
	base := embeddedtest.Start(t)
	const head = "--B\r\nContent-Disposition: form-data; name="
	field := func(name, value string) string { return head + `"` + name + "\"\r\n\r\n" + value + "\r\n" }
	table := func(name, data string) string {
		return head + `"` + name + `"; filename="` + name + "\"\r\nContent-Type: application/octet-stream\r\n\r\n" + data + "\r\n"
	}
	q := func(kv ...string) string {
		v := url.Values{}
		for i := 0; i < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		return v.Encode()
	}
	for _, tc := range []struct {
		name, params, body string
		status             int
		want               string
	}{
		{"statement in the URL, structure", q("query", "SELECT sum(a) FROM x", "x_structure", "a UInt8"), table("x", "1\n2\n"), 200, "3\n"},
		{"statement as a field, types", q("x_types", "UInt8, Array(Tuple(UInt8, String))"), field("query", "SELECT _1, _2 FROM x") + table("x", "1\t[(1,'a')]\n"), 200, "1\t[(1,'a')]\n"},
		{"format", q("query", "SELECT a FROM x", "x_structure", "a String", "x_format", "JSONEachRow"), table("x", `{"a":"b"}`), 200, "b\n"},
		{"two tables", q("query", "SELECT x.a, y.b FROM x JOIN y ON x.a = y.a", "x_structure", "a UInt8", "y_structure", "a UInt8, b String"), table("x", "1\n2\n") + table("y", "2\tz\n"), 200, "2\tz\n"},
		{"parameters as fields", q("x_structure", "a UInt8"), field("query", "SELECT sum(a) + {p:UInt8} FROM x") + field("param_p", "10") + table("x", "1\n"), 200, "11\n"},
		{"parameters alone", "", field("query", "SELECT {p:String}") + field("param_p", "it's"), 200, "it\\'s\n"},
		{"in a set", q("query", "SELECT number FROM numbers(5) WHERE number IN x", "x_structure", "a UInt64"), table("x", "1\n3\n"), 200, "1\n3\n"},
		{"no structure", q("query", "SELECT 1"), table("x", "1\n"), 400, "Code: 36."},
		{"broken data", q("query", "SELECT a FROM x", "x_structure", "a UInt8"), table("x", "z\n"), 400, "Code: 27."},
	} {
		status, out, _ := post(t, base, tc.params, tc.body+"--B--\r\n", "Content-Type", "multipart/form-data; boundary=B")
		if status != tc.status || !strings.HasPrefix(out, tc.want) {
			t.Errorf("%s: %d %.200q, want %d %q", tc.name, status, out, tc.status, tc.want)
		}
	}
	if status, _, _ := post(t, base, "", "SELECT a FROM x"); status != 404 {
		t.Error("another request sees the table of a form")
	}
}

// TestPagesOfOthers: where a password guards every account a page of another site
// may ask, as with a server; where none does, it may not.
func TestPagesOfOthers(t *testing.T) {
	guarded := embeddedtest.Run(t, t.TempDir(), "-password", ownerKey)
	preflight := func(base string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, base, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "http://page.example")
		resp, err := plainly.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Errorf("OPTIONS: %d", resp.StatusCode)
		}
		return resp.Header.Get("Access-Control-Allow-Origin")
	}
	open := embeddedtest.Start(t)
	if got := preflight(guarded.URL); got != "*" {
		t.Errorf("guarded: a page of another site is allowed as %q", got)
	}
	if got := preflight(open); got != "" {
		t.Errorf("open: a page of another site is allowed as %q", got)
	}
	for _, tc := range []struct {
		base, origin, key string
		status            int
		allowed           string
	}{
		{open, "http://page.example", "", 403, ""},
		{open, open, "", 200, ""},
		{open, "", "", 200, ""},
		{guarded.URL, "http://page.example", ownerKey, 200, "*"},
		{guarded.URL, "http://page.example", "", 403, ""},
	} {
		headers := []string{"Origin", tc.origin}
		if tc.origin == "" {
			headers = nil
		}
		if tc.key != "" {
			headers = append(headers, "X-ClickHouse-User", "default", "X-ClickHouse-Key", tc.key)
		}
		status, _, h := post(t, tc.base, "add_http_cors_header=1", "SELECT 1", headers...)
		if status != tc.status || h.Get("Access-Control-Allow-Origin") != tc.allowed {
			t.Errorf("from %q with %q: %d, allowed %q, want %d %q", tc.origin, tc.key, status, h.Get("Access-Control-Allow-Origin"), tc.status, tc.allowed)
		}
	}
}
