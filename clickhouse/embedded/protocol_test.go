package embedded_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	chcompress "github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/clickhouse/embedded/wire"
)

// TestStatusOfCodes makes the engine raise exceptions and holds code, header and
// HTTP status against ClickHouse's own table.
func TestStatusOfCodes(t *testing.T) {
	base, db := embeddedtest.Start(t), embeddedtest.Database(t)
	embeddedtest.Exec(t, base, "CREATE TABLE "+db+".t (a UInt8) ENGINE = MergeTree ORDER BY a")
	for _, tc := range []struct {
		code, status      int
		params, statement string
	}{
		{62, 400, "", "SELEC 1"},
		{36, 400, "", "SELECT * FROM dictionary('nothing')"},
		{6, 400, "", "SELECT toUInt8('x')"},
		{41, 400, "", "SELECT toDateTime('x')"},
		{376, 400, "", "SELECT toUUID('x')"},
		{427, 400, "", "SELECT match('a', '(')"},
		{117, 400, "input_format_skip_unknown_fields=0&query=INSERT+INTO+t+FORMAT+JSONEachRow", `{"b":1}`},
		{44, 400, "", "CREATE TABLE x (a UInt8, a UInt8) ENGINE = Memory"},
		{47, 404, "", "SELECT nothing FROM t"},
		{46, 404, "", "SELECT noFunctionOfThisName(1)"},
		{60, 404, "", "SELECT * FROM nothing"},
		{81, 404, "database=nothing", "SELECT 1"},
		{50, 404, "", "CREATE TABLE x (a Nothing2) ENGINE = Memory"},
		{56, 404, "", "CREATE TABLE x (a UInt8) ENGINE = Nothing"},
		{73, 404, "", "SELECT 1 FORMAT Nothing"},
		{115, 404, "nothing=1", "SELECT 1"},
		{511, 404, "role=nothing", "SELECT 1"},
		{48, 501, "", "BEGIN TRANSACTION"},
		{159, 408, "max_execution_time=1", "SELECT count() FROM numbers(10000000000000)"},
		{241, 500, "max_memory_usage=1000000", "SELECT length(groupArray(number)) FROM numbers(10000000)"},
		{395, 500, "", "SELECT throwIf(1)"},
		{153, 500, "", "SELECT intDiv(1, 0)"},
		{43, 500, "", "SELECT plus('a', 1)"},
		{57, 500, "", "CREATE TABLE t (a UInt8) ENGINE = Memory"},
		{158, 500, "max_rows_to_read=5", "SELECT count() FROM numbers(10) WHERE number > 1"},
		{396, 500, "max_result_rows=3", "SELECT number FROM numbers(10)"},
		{164, 500, "readonly=1", "CREATE TABLE x (a UInt8) ENGINE = Memory"},
		{358, 500, "", "SELECT 1 INTO OUTFILE 'x'"},
		{372, 500, "session_id=none&session_check=1", "SELECT 1"},
		{374, 500, "session_id=none&session_timeout=3601", "SELECT 1"},
		{456, 500, "", "SELECT {a:UInt8}"},
		{457, 500, "param_a=x", "SELECT {a:UInt8}"},
		{516, 403, "user=nobody", "SELECT 1"},
	} {
		status, out, h := post(t, base, "database="+db+"&"+tc.params, tc.statement)
		if strings.Contains(tc.params, "database=") {
			status, out, h = post(t, base, tc.params, tc.statement)
		}
		if status != tc.status || h.Get("X-ClickHouse-Exception-Code") != fmt.Sprint(tc.code) || !strings.HasPrefix(out, fmt.Sprintf("Code: %d. DB::Exception: ", tc.code)) {
			t.Errorf("%s (%s): %d, header %s, %.150s, want %d and code %d", tc.statement, tc.params, status, h.Get("X-ClickHouse-Exception-Code"), out, tc.status, tc.code)
		}
	}
}

// TestStatusByName holds wire.Status against the names that ClickHouse's HTTP
// handler maps, which the engine gives their numbers.
func TestStatusByName(t *testing.T) {
	base := embeddedtest.Start(t)
	byName := map[string]int{}
	for status, names := range map[int]string{
		401: "REQUIRED_PASSWORD",
		403: "UNKNOWN_USER WRONG_PASSWORD AUTHENTICATION_FAILED SET_NON_GRANTED_ROLE ACCESS_DENIED",
		400: `BAD_ARGUMENTS CANNOT_COMPILE_REGEXP CANNOT_PARSE_TEXT CANNOT_PARSE_ESCAPE_SEQUENCE CANNOT_PARSE_QUOTED_STRING CANNOT_PARSE_DATE CANNOT_PARSE_DATETIME
			CANNOT_PARSE_NUMBER CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING CANNOT_PARSE_IPV4 CANNOT_PARSE_IPV6 CANNOT_PARSE_INPUT_ASSERTION_FAILED CANNOT_PARSE_UUID
			DUPLICATE_COLUMN ILLEGAL_COLUMN UNKNOWN_ELEMENT_IN_AST UNKNOWN_TYPE_OF_AST_NODE THERE_IS_NO_COLUMN TOO_DEEP_AST TOO_BIG_AST UNEXPECTED_AST_STRUCTURE
			SYNTAX_ERROR INCORRECT_DATA TYPE_MISMATCH VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE`,
		404: `UNKNOWN_TABLE UNKNOWN_FUNCTION UNKNOWN_IDENTIFIER UNKNOWN_TYPE UNKNOWN_STORAGE UNKNOWN_DATABASE UNKNOWN_SETTING UNKNOWN_DIRECTION_OF_SORTING
			UNKNOWN_AGGREGATE_FUNCTION UNKNOWN_FORMAT UNKNOWN_DATABASE_ENGINE UNKNOWN_TYPE_OF_QUERY UNKNOWN_ROLE`,
		408: "TIMEOUT_EXCEEDED", 411: "HTTP_LENGTH_REQUIRED", 413: "QUERY_IS_TOO_LARGE", 415: "UNSUPPORTED_MEDIA_TYPE", 501: "NOT_IMPLEMENTED",
		503: "SOCKET_TIMEOUT CANNOT_OPEN_FILE CANNOT_SCHEDULE_TASK",
	} {
		for name := range strings.FieldsSeq(names) {
			byName[name] = status
		}
	}
	out := embeddedtest.Exec(t, base, "SELECT number, errorCodeToName(number) AS name FROM numbers(1003) WHERE name != ''")
	seen := 0
	for line := range strings.Lines(out) {
		var code int
		var name string
		if _, err := fmt.Sscan(line, &code, &name); err != nil {
			t.Fatal(err)
		}
		want, there := byName[name]
		if !there {
			want = 500
		} else {
			seen++
		}
		if got := wire.Status(code); got != want {
			t.Errorf("%s (%d): %d, want %d", name, code, got, want)
		}
	}
	if seen != len(byName) {
		t.Errorf("the engine knows %d of the %d names", seen, len(byName))
	}
}

// TestParameters sends one of each kind, and the escapes that ClickHouse takes in
// them.
func TestParameters(t *testing.T) {
	base := embeddedtest.Start(t)
	for _, tc := range []struct{ kind, value, want string }{
		{"UInt8", "255", "255"},
		{"Int64", "-9223372036854775808", "-9223372036854775808"},
		{"Float64", "1.5e3", "1500"},
		{"Bool", "true", "true"},
		{"Decimal(18, 2)", "1.25", "1.25"},
		{"String", "it's", "it's"},
		{"String", `a\tb\\c\nd`, "a\tb\\c\nd"},
		{"String", "", ""},
		{"String", "; DROP TABLE t --", "; DROP TABLE t --"},
		{"String", "ß–日本", "ß–日本"},
		{"Nullable(String)", `\N`, "ᴺᵁᴸᴸ"},
		{"Date", "2026-11-27", "2026-11-27"},
		{"DateTime64(3, 'UTC')", "2026-11-27 10:00:00.123", "2026-11-27 10:00:00.123"},
		{"UUID", "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000001"},
		{"IPv4", "10.0.0.1", "10.0.0.1"},
		{"Array(UInt8)", "[1,2]", "[1,2]"},
		{"Array(String)", `['it\'s','b']`, `['it\'s','b']`},
		{"Tuple(UInt8, String)", "(1,'x')", "(1,'x')"},
		{"Map(String, UInt8)", "{'a':1}", "{'a':1}"},
		{"Enum8('good' = 0, 'bad' = 1)", "bad", "bad"},
		{"LowCardinality(String)", "x", "x"},
	} {
		q := url.Values{"param_x": {tc.value}}
		if status, out, _ := post(t, base, q.Encode(), "SELECT {x:"+tc.kind+"} FORMAT TSVRaw"); status != 200 || strings.Replace(out, "ᴺᵁᴸᴸ", `\N`, 1) != strings.Replace(tc.want, "ᴺᵁᴸᴸ", `\N`, 1)+"\n" {
			t.Errorf("%s %q: %d %q, want %q", tc.kind, tc.value, status, out, tc.want)
		}
	}
	q := url.Values{"param_d": {"system"}, "param_t": {"one"}, "query": {"SELECT * FROM {d:Identifier}.{t:Identifier}"}}
	if status, out, _ := post(t, base, q.Encode(), ""); status != 200 || out != "0\n" {
		t.Errorf("names: %d %s", status, out)
	}
}

// TestEncodedAnswers asks for each encoding, in HTTP's way and in ClickHouse's own.
func TestEncodedAnswers(t *testing.T) {
	base := embeddedtest.Start(t)
	const statement = "SELECT number, repeat('x', 20) FROM numbers(100000)"
	_, want, _ := post(t, base, "", statement)
	for _, tc := range []struct {
		params, accept, encoding string
		decode                   func(io.Reader) (io.Reader, error)
	}{
		{"", "gzip", "gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"enable_http_compression=1", "deflate", "deflate", func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }},
		{"enable_http_compression=1", "gzip, br", "br", func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }},
		{"enable_http_compression=1", "lz4", "lz4", func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil }},
		{"enable_http_compression=1", "gzip, deflate, br, zstd", "zstd", func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) }},
		{"enable_http_compression=1", "zstd;q=0, gzip;q=0.5", "gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"enable_http_compression=0", "gzip", "", func(r io.Reader) (io.Reader, error) { return r, nil }},
		{"", "identity", "", func(r io.Reader) (io.Reader, error) { return r, nil }},
		{"compress=1", "", "", func(r io.Reader) (io.Reader, error) { return chcompress.NewReader(r), nil }},
	} {
		_, out, h := post(t, base, tc.params, statement, "Accept-Encoding", tc.accept)
		r, err := tc.decode(strings.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(r)
		if err != nil && tc.params != "compress=1" { // that decoder knows no end
			t.Errorf("%s %s: %v", tc.params, tc.accept, err)
		}
		if string(plain) != want || h.Get("Content-Encoding") != tc.encoding {
			t.Errorf("%s %s: %d bytes, encoding %q", tc.params, tc.accept, len(plain), h.Get("Content-Encoding"))
		}
		if tc.encoding != "" && len(out) >= len(want)/4 {
			t.Errorf("%s: %d bytes of %d", tc.accept, len(out), len(want))
		}
	}
	// An exception is not encoded: no Content-Encoding, plain text.
	if _, out, h := post(t, base, "", "SELECT nothing", "Accept-Encoding", "gzip"); h.Get("Content-Encoding") != "" || !strings.HasPrefix(out, "Code: 47.") {
		t.Errorf("an exception: %q %.100q", h.Get("Content-Encoding"), out)
	}
}

func TestFormats(t *testing.T) {
	base := embeddedtest.Start(t)
	for _, tc := range []struct{ params, header, statement, want string }{
		{"", "", "SELECT 1 AS a", "1\n"},
		{"default_format=JSONEachRow", "", "SELECT 1 AS a", `{"a":1}` + "\n"},
		{"", "CSVWithNames", "SELECT 1 AS a", "\"a\"\n1\n"},
		{"default_format=JSONEachRow", "CSVWithNames", "SELECT 1 AS a", "\"a\"\n1\n"},
		{"default_format=JSONEachRow", "", "SELECT 1 AS a FORMAT CSV", "1\n"},
		{"default_format=JSONEachRow", "", "DESCRIBE (SELECT 1 AS a) FORMAT TSV", "a\tUInt8\t\t\t\t\t\n"},
		{"output_format_json_quote_64bit_integers=1", "", "SELECT toUInt64(1) AS a FORMAT JSONEachRow", `{"a":"1"}` + "\n"},
		{"extremes=1", "", "SELECT number FROM numbers(3) FORMAT TSV", "0\n1\n2\n\n0\n2\n"},
		{"", "", "SELECT number % 2 AS k, count() FROM numbers(4) GROUP BY k WITH TOTALS ORDER BY k FORMAT TSV", "0\t2\n1\t2\n\n0\t4\n"},
		{"limit=2&offset=1", "", "SELECT number FROM numbers(9)", "1\n2\n"},
		{"max_result_rows=3&result_overflow_mode=break&max_block_size=1", "", "SELECT number FROM numbers(10)", "0\n1\n2\n"},
		{"", "", "SELECT toFloat64(1) FORMAT RowBinary", string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(1)))},
	} {
		headers := []string{}
		if tc.header != "" {
			headers = []string{"X-ClickHouse-Format", tc.header}
		}
		if status, out, _ := post(t, base, tc.params, tc.statement, headers...); status != 200 || out != tc.want {
			t.Errorf("%s (%s, %s): %d %q, want %q", tc.statement, tc.params, tc.header, status, out, tc.want)
		}
	}
}

func TestSessionsEnd(t *testing.T) {
	base := embeddedtest.Start(t)
	id := "session_id=" + uuid.NewString()
	mark := fmt.Sprintf("mark%d", rand.Uint64())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := start(ctx, base, id, endless(mark)["sleeping"])
	until(t, patience, "the first runs", func() bool { return running(t, base, mark) == "1" })
	if status, out, _ := post(t, base, id, "SELECT 1"); status != 500 || !strings.HasPrefix(out, "Code: 373.") {
		t.Errorf("a second one in the session: %d %s", status, out)
	}
	cancel()
	<-ended
	until(t, patience, "it is free again", func() bool {
		status, _, _ := post(t, base, id, "SELECT 1")
		return status == 200
	})
	until(t, patience, "the session holds what was set", func() bool { // a slow machine may be late for it
		post(t, base, id+"&session_timeout=2", "SET max_threads = 1")
		_, out, _ := post(t, base, id+"&session_timeout=2&session_check=1", "SELECT getSetting('max_threads')")
		return out == "1\n"
	})
	began := time.Now()
	until(t, patience, "the session ends", func() bool {
		time.Sleep(2500 * time.Millisecond) // a request would make it live on
		status, out, _ := post(t, base, id+"&session_timeout=2&session_check=1", "SELECT 1")
		return status == 500 && strings.HasPrefix(out, "Code: 372.")
	})
	if time.Since(began) < 2*time.Second {
		t.Error("it ended before its time")
	}
	post(t, base, id, "SET max_threads = 1")
	post(t, base, id+"&close_session=1", "SELECT 1")
	if status, _, _ := post(t, base, id+"&session_check=1", "SELECT 1"); status != 500 {
		t.Error("a session that was closed is there")
	}
}

func TestQueryIDs(t *testing.T) {
	base := embeddedtest.Start(t)
	id := uuid.NewString()
	if _, _, h := post(t, base, "query_id="+id, "SELECT 1"); h.Get("X-ClickHouse-Query-Id") != id {
		t.Errorf("the id is answered as %q", h.Get("X-ClickHouse-Query-Id"))
	}
	mark := "mark" + strings.ReplaceAll(id, "-", "")
	first := start(t.Context(), base, "query_id="+id, endless(mark)["one number"])
	until(t, patience, "it runs", func() bool { return running(t, base, mark) == "1" })
	if status, out, _ := post(t, base, "query_id="+id, "SELECT 1"); status != 500 || !strings.HasPrefix(out, "Code: 216.") {
		t.Errorf("a second one with its id: %d %s", status, out)
	}
	until(t, patience, "one replaces it", func() bool {
		status, out, _ := post(t, base, "replace_running_query=1&query_id="+id, "SELECT 2")
		if strings.HasPrefix(out, "Code: 216.") {
			return false // the one before takes longer to end than its successor waits
		}
		if status != 200 || out != "2\n" {
			t.Errorf("one that replaces it: %d %s", status, out)
		}
		return true
	})
	if err := <-first; err == nil || !strings.Contains(err.Error(), "394") {
		t.Errorf("the one that was replaced: %v", err)
	}
}

// TestQueue: a statement past the pool waits for its turn, and is told when that
// doesn't come.
func TestQueue(t *testing.T) {
	e := embeddedtest.Run(t, t.TempDir(), "-connections", "1", "-queue-wait", "2s")
	ended := start(t.Context(), e.URL, "", "SELECT sleepEachRow(1) FROM numbers(8) SETTINGS max_block_size = 1")
	until(t, patience, "one is turned away", func() bool {
		status, out, _ := post(t, e.URL, "", "SELECT 1")
		return status == 500 && strings.HasPrefix(out, "Code: 202.")
	})
	if status, _, _ := post(t, e.URL, "", "SELECT 1"); status == 200 {
		t.Log("the first had ended already")
	}
	if err := <-ended; err != nil {
		t.Errorf("the one that ran: %v", err)
	}
	wait := embeddedtest.Run(t, t.TempDir(), "-connections", "1")
	ended = start(t.Context(), wait.URL, "", "SELECT sleepEachRow(0.5) FROM numbers(4) SETTINGS max_block_size = 1")
	for range 3 {
		if status, out, _ := post(t, wait.URL, "", "SELECT 7"); status != 200 || out != "7\n" {
			t.Errorf("one that waited: %d %s", status, out)
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("the one that ran: %v", err)
	}
}

// TestHealth asks what load balancers and drivers ask.
func TestHealth(t *testing.T) {
	base := embeddedtest.Start(t)
	for _, tc := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/ping", 200, "Ok.\n"},
		{"GET", "/replicas_status", 200, "Ok.\n"},
		{"GET", "/", 200, "Ok.\n"},
		{"HEAD", "/ping", 200, ""},
		{"GET", "/nothing", 404, "There is no handle /nothing\n"},
		{"PUT", "/", 501, "Code: 48."},
		{"GET", "/?query=SELECT+1", 200, "1\n"},
		{"HEAD", "/?query=SELECT+1", 200, ""},
		{"GET", "/?query=INSERT+INTO+t+VALUES+(1)", 500, "Code: 164."},
		{"POST", "/?query=SELECT+2", 200, "2\n"},
		{"OPTIONS", "/", 204, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tc.method, base+tc.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := plainly.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		out, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != tc.status || !strings.HasPrefix(string(out), tc.want) {
			t.Errorf("%s %s: %d %q %v", tc.method, tc.path, resp.StatusCode, out, err)
		}
	}
}
