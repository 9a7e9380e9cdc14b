package embedded_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// TestExceptionInFormat: with http_write_exception_in_output_format a broken answer
// is a document that says so, whole rows before it. Control: without, it is cut.
func TestExceptionInFormat(t *testing.T) {
	base := embeddedtest.Start(t)
	statement := strings.Replace(breaks, "number,", "number, '\"],}{[\\\\' AS s,", 1) + " FORMAT "
	read := func(params, format string) (int, string, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/?"+params, strings.NewReader(statement+format))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := plainly.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), err
	}
	const on = "http_write_exception_in_output_format=1"
	for _, format := range []string{"JSON", "JSONCompact", "JSONStrings", "JSONCompactStrings"} {
		status, out, err := read(on, format)
		var doc struct {
			Meta      []any
			Data      []any
			Rows      int
			Exception string
		}
		if err == nil {
			err = json.Unmarshal([]byte(out), &doc)
		}
		if status != 200 || err != nil || len(doc.Meta) != 3 || len(doc.Data) < 10_000 || doc.Rows != len(doc.Data) || !strings.HasPrefix(doc.Exception, "Code: 395.") {
			t.Errorf("%s: %d %v, %d rows, says %d, exception %q, ends %q", format, status, err, len(doc.Data), doc.Rows, doc.Exception, out[max(0, len(out)-200):])
		}
	}
	for _, format := range []string{"JSONEachRow", "JSONStringsEachRow", "JSONCompactEachRow", "JSONCompactEachRowWithNamesAndTypes"} {
		status, out, err := read(on, format)
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		for i, line := range lines {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s: line %d of %d is %q", format, i, len(lines), line)
				break
			}
		}
		if last := lines[len(lines)-1]; status != 200 || err != nil || len(lines) < 10_000 || !strings.Contains(last, "Code: 395.") {
			t.Errorf("%s: %d %v, %d lines, the last %.200q", format, status, err, len(lines), last)
		}
	}
	for _, tc := range [][2]string{{"", "JSON"}, {"", "JSONEachRow"}, {on, "CSV"}} {
		if _, out, err := read(tc[0], tc[1]); err == nil || !strings.Contains(out, "__exception__") {
			t.Errorf("control, %s %s: %v, ends %q", tc[0], tc[1], err, out[max(0, len(out)-200):])
		}
	}
	if status, out, _ := post(t, base, on, "SELECT throwIf(1) FORMAT JSON"); status != 500 || !strings.Contains(out, `"exception":"Code: 395.`) {
		t.Errorf("before the answer began: %d %s", status, out)
	}
	if status, out, _ := post(t, base, on, "SELECT throwIf(1) FORMAT JSONCompactEachRow"); status != 500 || !strings.HasPrefix(out, `["Code: 395.`) {
		t.Errorf("before the answer began, as a list: %d %s", status, out)
	}
	// A whole answer passes through unchanged.
	for _, format := range []string{"JSON", "JSONEachRow"} {
		whole := "SELECT number, '\"]}\\\\' AS s FROM numbers(200000) FORMAT " + format
		_, want, _ := post(t, base, "output_format_write_statistics=0", whole)
		if _, got, _ := post(t, base, "output_format_write_statistics=0&"+on, whole); got != want || len(got) < 2<<20 {
			t.Errorf("%s: %d bytes, want %d", format, len(got), len(want))
		}
	}
}
