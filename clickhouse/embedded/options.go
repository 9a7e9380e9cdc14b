package embedded

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
)

var settingName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.]*$`)

// Limits and default of a session's time are ClickHouse's.
const (
	defaultSessionTimeout = 60 * time.Second
	maxSessionTimeout     = 3600
)

// on reads a flag as ClickHouse does.
func on(v string) bool { return v == "1" || strings.EqualFold(v, "true") }

// options sorts the URL's parameters into what HTTP itself means, parameters of
// the statement, and settings of the engine. With external data the parameters
// that describe it are left to readForm.
func (req *request) options(q url.Values, hasData bool) error {
	for name, values := range q {
		v := values[len(values)-1]
		done, err := req.option(name, v)
		if err != nil {
			return err
		}
		if done || hasData && describesData(name) {
			continue
		}
		if p, ok := strings.CutPrefix(name, "param_"); ok {
			req.params[p] = v
			continue
		}
		if !settingName.MatchString(name) {
			return badRequest("%q is not the name of a setting", name)
		}
		req.settings[name] = v
	}
	return nil
}

// option takes what isn't the engine's.
func (req *request) option(name, v string) (done bool, err error) {
	switch name {
	case "", "query", "query_id", "user", "password", "quota_key", "decompress", "stacktrace":
	case "database":
		if req.database == "" {
			req.database = v
		}
	case "default_format":
		if req.defaultFormat == "" {
			req.defaultFormat = v
		}
	case "role":
		req.role = v
	case "compress":
		req.compress = on(v)
	case "enable_http_compression":
		req.httpCompress = on(v)
	case "wait_end_of_query", "http_wait_end_of_query":
		req.wait = on(v)
	case "send_progress_in_http_headers":
		req.progress = on(v)
	case "http_headers_progress_interval_ms":
		var n int64
		n, err = number(name, v, 60_000)
		req.progressEvery = time.Duration(n) * time.Millisecond
	case "http_write_exception_in_output_format":
		req.inFormat = on(v)
	case "add_http_cors_header":
		req.cors = on(v)
	case "buffer_size", "http_response_buffer_size":
		req.bufferSize, err = number(name, v, maxBuffer)
	case "client_protocol_version":
		var n int64
		n, err = number(name, v, 1<<32)
		req.revision = uint64(n)
	case "session_id":
		req.session = v
	case "session_check":
		req.sessionCheck = on(v)
	case "close_session":
		req.sessionClose = on(v)
	case "session_timeout":
		n, aerr := strconv.Atoi(v)
		if aerr != nil || n < 0 || n > maxSessionTimeout {
			return true, chdb.Raise(codeSessionTimeout, "INVALID_SESSION_TIMEOUT", "Session timeout %q is not a number of seconds up to max_session_timeout: %d", v, maxSessionTimeout)
		}
		req.sessionTimeout = time.Duration(n) * time.Second
	default:
		return false, nil
	}
	return true, err
}

// maxBuffer bounds what a client may have held back in memory.
const maxBuffer = 64 << 20

func number(name, v string, most int64) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, badRequest("%s %q is not a number", name, v)
	}
	return min(n, most), nil
}

func badRequest(format string, args ...any) error {
	return chdb.Raise(codeBadRequest, "BAD_ARGUMENTS", format, args...)
}
