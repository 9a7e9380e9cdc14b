package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// setting is a setting of the engine asked for in the URL.
type setting struct{ name, value string }

// request is one statement as HTTP brought it.
type request struct {
	stmt     statement
	body     io.Reader // data of an insert behind stmt.data
	database string
	settings []setting
	params   map[string]string
	queryID  string

	defaultFormat string
	revision      uint64 // of Native blocks the client wants; 0: the engine's own
	compress      bool   // answer in ClickHouse's block framing
	httpCompress  bool
	wait          bool // answer only when the statement is done
	progress      bool

	session        string
	sessionCheck   bool
	sessionClose   bool
	sessionTimeout time.Duration
}

var settingName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.]*$`)

// maxStatement bounds the text of a statement; the data of an insert is not
// text.
const maxStatement = 16 << 20

// defaultSessionTimeout is ClickHouse's.
const defaultSessionTimeout = 60 * time.Second

// readRequest takes an HTTP request apart.
func readRequest(r *http.Request) (*request, error) {
	q := r.URL.Query()
	req := &request{
		queryID: q.Get("query_id"), database: q.Get("database"), defaultFormat: q.Get("default_format"),
		params: map[string]string{}, sessionTimeout: defaultSessionTimeout,
	}
	if req.database == "" {
		req.database = r.Header.Get("X-ClickHouse-Database")
	}
	if f := r.Header.Get("X-ClickHouse-Format"); req.defaultFormat == "" && f != "" {
		req.defaultFormat = f
	}
	if err := req.options(q); err != nil {
		return nil, err
	}
	body, err := decodedBody(r, q.Get("decompress") == "1")
	if err != nil {
		return nil, err
	}
	return req, req.statement(r.Method, q.Get("query"), q.Has("query"), body)
}

// statement joins the text in the URL and the one in the body.
func (req *request) statement(method, inURL string, hasURL bool, body io.Reader) error {
	if method == http.MethodGet || method == http.MethodHead {
		req.stmt, req.body = parse(inURL, false), http.NoBody
		return req.stmt.readOnly()
	}
	if hasURL {
		peek := make([]byte, 1)
		n, err := io.ReadFull(body, peek)
		if err != nil && n == 0 && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading body: %w", err)
		}
		req.body = io.MultiReader(bytes.NewReader(peek[:n]), body)
		req.stmt = parse(inURL, n > 0)
		if req.stmt.kind != kindInsert && n > 0 {
			// The text may be cut anywhere between URL and body.
			rest, err := readText(req.body)
			if err != nil {
				return err
			}
			req.stmt, req.body = parse(inURL+"\n"+rest, false), http.NoBody
		}
		return nil
	}
	text, rest, err := splitInsert(body)
	if err != nil {
		return err
	}
	req.stmt, req.body = parse(text, false), rest
	return nil
}

// splitInsert reads a body that begins with a statement. Of a long INSERT only
// the first part is read as text, the rest stays a stream.
func splitInsert(body io.Reader) (string, io.Reader, error) {
	head := make([]byte, 64<<10)
	n, err := io.ReadFull(body, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", nil, fmt.Errorf("reading body: %w", err)
	}
	text := string(head[:n])
	if n < len(head) {
		return text, http.NoBody, nil
	}
	if st := parse(text, false); st.kind == kindInsert && st.format != "Values" {
		return text, body, nil
	}
	rest, err := readText(body)
	return text + rest, http.NoBody, err
}

func readText(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxStatement+1))
	if err != nil {
		return "", fmt.Errorf("reading body: %w", err)
	}
	if len(b) > maxStatement {
		return "", &Exception{Code: codeTooLarge, Text: fmt.Sprintf("Code: %d. DB::Exception: The statement has more than %d bytes. (QUERY_IS_TOO_LARGE)", codeTooLarge, maxStatement)}
	}
	return string(b), nil
}

// options sorts the URL's parameters into what HTTP itself means, parameters of
// the statement, and settings of the engine.
func (req *request) options(q url.Values) error {
	for name, values := range q {
		v := values[len(values)-1]
		switch name {
		case "query", "query_id", "database", "default_format", "user", "password", "quota_key", "role", "decompress",
			"stacktrace", "buffer_size", "http_headers_progress_interval_ms":
		case "compress":
			req.compress = v == "1"
		case "enable_http_compression":
			req.httpCompress = v == "1"
		case "wait_end_of_query":
			req.wait = v == "1"
		case "send_progress_in_http_headers":
			req.progress = v == "1"
		case "client_protocol_version":
			n, err := strconv.ParseUint(v, 10, 32)
			if err != nil {
				return badRequest("client_protocol_version %q is not a number", v)
			}
			req.revision = n
		case "session_id":
			req.session = v
		case "session_check":
			req.sessionCheck = v == "1"
		case "close_session":
			req.sessionClose = v == "1"
		case "session_timeout":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > 3600 {
				return badRequest("session_timeout %q is not a number of seconds up to 3600", v)
			}
			req.sessionTimeout = time.Duration(n) * time.Second
		default:
			if p, ok := strings.CutPrefix(name, "param_"); ok {
				req.params[p] = v
				continue
			}
			if !settingName.MatchString(name) {
				return badRequest("%q is not the name of a setting", name)
			}
			req.settings = append(req.settings, setting{name, v})
		}
	}
	return nil
}

// asArray says whether the rows may come inside brackets, which the engine
// would put around each piece.
func (req *request) asArray() bool {
	const name = "output_format_json_array_of_rows"
	for _, s := range req.settings {
		if s.name == name {
			return true
		}
	}
	return strings.Contains(req.stmt.text, name)
}

func badRequest(format string, args ...any) error {
	return &Exception{Code: codeBadRequest, Text: fmt.Sprintf("Code: %d. DB::Exception: %s. (BAD_ARGUMENTS)", codeBadRequest, fmt.Sprintf(format, args...))}
}
