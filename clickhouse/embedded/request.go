package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
	"github.com/foodflow/foodflow/clickhouse/embedded/wire"
)

// request is one statement as HTTP brought it.
type request struct {
	stmt     wire.Statement
	body     io.Reader // data of an insert behind stmt.Data
	external []external
	database string
	role     string
	settings map[string]string
	params   map[string]string
	queryID  string

	defaultFormat string
	revision      uint64 // of Native blocks the client wants; 0: the engine's own
	compress      bool   // answer in ClickHouse's block framing
	httpCompress  bool
	wait          bool // answer only when the statement is done
	bufferSize    int64
	progress      bool
	progressEvery time.Duration
	inFormat      bool // exceptions as rows of the format
	cors          bool

	session        string
	sessionCheck   bool
	sessionClose   bool
	sessionTimeout time.Duration
}

// maxStatement bounds the text of a statement; the data of an insert is not
// text.
const maxStatement = 16 << 20

// readRequest takes an HTTP request apart. Headers go before parameters of the
// URL, as with a server.
func readRequest(r *http.Request, q url.Values) (*request, error) {
	req := &request{
		queryID: q.Get("query_id"), database: r.Header.Get("X-ClickHouse-Database"), defaultFormat: r.Header.Get("X-ClickHouse-Format"),
		settings: map[string]string{}, params: map[string]string{}, sessionTimeout: defaultSessionTimeout, httpCompress: true, progressEvery: progressEvery,
	}
	form, err := multipartForm(r)
	if err != nil {
		return nil, err
	}
	if err := req.options(q, form != nil); err != nil {
		return nil, err
	}
	if form != nil {
		return req, req.readForm(q, form)
	}
	body, err := wire.Decode(r, on(q.Get("decompress")))
	if err != nil {
		return nil, err
	}
	return req, req.statement(r.Method, q.Get("query"), body)
}

// format is the output format in force.
func (req *request) format() string {
	switch {
	case req.stmt.Format != "":
		return req.stmt.Format
	case req.defaultFormat != "":
		return req.defaultFormat
	}
	return "TabSeparated"
}

// statement joins the text in the URL and the one in the body.
func (req *request) statement(method, inURL string, body io.Reader) (err error) {
	if method == http.MethodGet || method == http.MethodHead {
		req.body = http.NoBody
		if err := req.parse(inURL, false); err != nil {
			return err
		}
		return req.stmt.ReadOnly()
	}
	if inURL == "" {
		text, rest, err := splitInsert(body)
		if err != nil {
			return err
		}
		req.body = rest
		return req.parse(text, false)
	}
	peek := make([]byte, 1)
	n, err := io.ReadFull(body, peek)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading body: %w", err)
	}
	req.body = io.MultiReader(bytes.NewReader(peek[:n]), body)
	if err := req.parse(inURL, n > 0); err == nil && (req.stmt.Kind == wire.Insert || n == 0) {
		return nil
	} else if n == 0 {
		return err
	}
	// The text may be cut anywhere between URL and body.
	rest, err := readText(req.body)
	if err != nil {
		return err
	}
	req.body = http.NoBody
	return req.parse(inURL+"\n"+rest, false)
}

func (req *request) parse(text string, bodyFollows bool) (err error) {
	if strings.TrimSpace(text) == "" {
		return chdb.Raise(62, "SYNTAX_ERROR", "Empty query")
	}
	req.stmt, err = wire.Parse(text, bodyFollows)
	return err
}

// splitInsert reads a body that begins with a statement. Of a long INSERT only
// the first part is read as text, the rest stays a stream.
func splitInsert(body io.Reader) (string, io.Reader, error) {
	head := make([]byte, 64<<10)
	n, err := fill(body, head)
	text := string(head[:n])
	if errors.Is(err, io.EOF) {
		return text, http.NoBody, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("reading body: %w", err)
	}
	if st, err := wire.Parse(text, false); err == nil && st.Kind == wire.Insert && st.Format != "Values" {
		return text, body, nil
	}
	rest, err := readText(body)
	return text + rest, http.NoBody, err
}

// fill reads until b is full or the body ends, and tells a body that was cut off
// from one that ended, which io.ReadFull doesn't.
func fill(body io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = body.Read(b[n:])
		n += k
	}
	return n, err
}

func readText(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxStatement+1))
	if err != nil {
		return "", fmt.Errorf("reading body: %w", err)
	}
	if len(b) > maxStatement {
		return "", chdb.Raise(codeTooLarge, "QUERY_IS_TOO_LARGE", "The statement has more than %d bytes", maxStatement)
	}
	return string(b), nil
}
