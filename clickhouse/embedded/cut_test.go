package embedded_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// raw sends bytes as they are and gives what comes back until the engine closes.
// A client that is gone sends no more; to net/http that is a client that left, so
// a statement that still runs is ended.
func raw(t *testing.T, base, text string, gone bool) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if gone {
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := io.ReadAll(c) // what was read until the end counts
	return string(out)
}

// TestCutInserts sends inserts that end before they are whole: each must leave
// nothing. The whole ones are the control: the same bytes with their end do.
func TestCutInserts(t *testing.T) {
	base, db := embeddedtest.Start(t), embeddedtest.Database(t)
	embeddedtest.Exec(t, base, "CREATE TABLE "+db+".t (a UInt64) ENGINE = MergeTree ORDER BY a")
	const rows = 1000
	var data strings.Builder
	for i := range rows {
		fmt.Fprintln(&data, i)
	}
	count := func() string { return embeddedtest.Exec(t, base, "SELECT count() FROM "+db+".t") }
	for name, encode := range map[string]func(io.Writer) io.WriteCloser{
		"": nil, "gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
		"br":      func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
		"lz4":     func(w io.Writer) io.WriteCloser { return lz4.NewWriter(w) },
		"zstd":    func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
	} {
		t.Run("encoded "+name, func(t *testing.T) {
			body := data.String()
			if encode != nil {
				var b bytes.Buffer
				z := encode(&b)
				if _, err := io.WriteString(z, body); err != nil {
					t.Fatal(err)
				}
				if err := z.Close(); err != nil {
					t.Fatal(err)
				}
				body = b.String()
			}
			head := "POST /?database=" + db + "&query=" + url.QueryEscape("INSERT INTO t FORMAT TSV") + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: " + name + "\r\n"
			chunked := head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(body), body)
			whole := head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body
			short := body[:len(body)*2/3]
			for what, text := range map[string]string{
				"chunks without their end":           chunked,
				"fewer bytes than Content-Length":    whole[:len(whole)-5],
				"an encoding that breaks off":        head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(short)) + short,
				"chunks that end inside an encoding": head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(short), short),
			} {
				if strings.Contains(what, "encoding") && encode == nil {
					continue
				}
				if out := raw(t, base, text, true); strings.Contains(out, "200 OK") {
					t.Errorf("%s: %s", what, out)
				}
				if got := count(); got != "0\n" {
					t.Errorf("%s left %s rows", what, got)
				}
			}
			for _, text := range []string{chunked + "0\r\n\r\n", whole} {
				if out := raw(t, base, text, false); !strings.Contains(out, "200 OK") {
					t.Errorf("whole: %s", out)
				}
				if got := count(); got != fmt.Sprintf("%d\n", rows) {
					t.Errorf("a whole insert left %s rows", got)
				}
				embeddedtest.Exec(t, base, "TRUNCATE TABLE "+db+".t")
			}
		})
	}
}

// TestCutInsertKeepsWholeBlocks says what holds beyond one block, as on a server:
// blocks of max_insert_block_size rows before the cut stay, none in part.
func TestCutInsertKeepsWholeBlocks(t *testing.T) {
	base, db := embeddedtest.Start(t), embeddedtest.Database(t)
	embeddedtest.Exec(t, base, "CREATE TABLE "+db+".t (a UInt64) ENGINE = MergeTree ORDER BY a")
	body := strings.Repeat("123456\n", 700_000)
	params := "&max_insert_block_size=100000&min_insert_block_size_rows=0&min_insert_block_size_bytes=0&input_format_parallel_parsing=0"
	head := "POST /?database=" + db + "&query=" + url.QueryEscape("INSERT INTO t FORMAT TSV") + params + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	if out := raw(t, base, head+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)+1)+body, true); strings.Contains(out, "200 OK") {
		t.Errorf("%s", out)
	}
	var n int
	if _, err := fmt.Sscan(embeddedtest.Exec(t, base, "SELECT count() FROM "+db+".t"), &n); err != nil {
		t.Fatal(err)
	}
	if n%100_000 != 0 || n >= 700_000 {
		t.Errorf("%d rows stayed: not whole blocks", n)
	}
	t.Logf("%d of 700000 rows stayed", n)
}
