package embedded

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest: any method, query string, content type and body is a request or
// an error, and what GET asks for reads only.
func FuzzRequest(f *testing.F) {
	form := "--x\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT * FROM t\r\n--x\r\nContent-Disposition: form-data; name=\"t\"; filename=\"t\"\r\n\r\n1\tа\n\r\n--x--\r\n"
	f.Add("POST", "query=SELECT+1&param_x=7&max_threads=1&session_id=s&session_timeout=60", "", "")
	f.Add("POST", "database=d&client_protocol_version=54460&compress=1", "text/plain", "INSERT INTO t FORMAT CSV\n1,2\n")
	f.Add("POST", "t_structure=a+UInt8,b+String&t_format=TSV", "multipart/form-data; boundary=x", form)
	f.Add("POST", "t_types=UInt8,Array(Tuple(String,UInt8))", "multipart/form-data; boundary=x", form)
	f.Add("POST", "session_timeout=-1&buffer_size=99999999999999999999", "multipart/form-data; boundary=", "--")
	f.Add("GET", "query=CREATE+DATABASE+x", "", "")
	f.Add("HEAD", "query=SELECT+1+FORMAT+JSON&decompress=1", "", "")
	f.Fuzz(func(t *testing.T, method, query, media, body string) {
		if method != http.MethodGet && method != http.MethodHead {
			method = http.MethodPost
		}
		r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", media)
		req, err := readRequest(r, r.URL.Query())
		if err != nil {
			return
		}
		if method != http.MethodPost && req.stmt.ReadOnly() != nil {
			t.Fatalf("%s may run %q", method, req.stmt.Text)
		}
		if req.sessionTimeout <= 0 {
			t.Fatalf("a session of %v", req.sessionTimeout)
		}
		var rest bytes.Buffer
		if _, err := io.Copy(&rest, req.body); err == nil && rest.Len() > len(body) {
			t.Fatalf("%d bytes of data from a body of %d", rest.Len(), len(body))
		}
	})
}
