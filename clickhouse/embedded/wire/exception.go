package wire

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// TagHeader announces the tag of an answer, which marks an exception in the
// midst of it, as ClickHouse does since 25.11.
const TagHeader = "X-ClickHouse-Exception-Tag"

// NewTag makes a tag: 16 lower-case letters that no answer holds by chance.
func NewTag() string {
	return strings.ToLower(rand.Text()[:16])
}

// Exposed are the headers of ClickHouse that a browser may show to a page.
const Exposed = "X-ClickHouse-Query-Id,X-ClickHouse-Summary,X-ClickHouse-Server-Display-Name,X-ClickHouse-Format,X-ClickHouse-Timezone,X-ClickHouse-Exception-Code," + TagHeader

// Broken is what follows the part of an answer that was sent before its
// statement ended in an exception. The length counts the line break too.
func Broken(tag, text string) string {
	return fmt.Sprintf("\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", tag, text, len(text)+1, tag)
}

// Fail answers an exception before anything else was written. Where the client
// asked for exceptions in its format, the rows of that format say it.
func Fail(w http.ResponseWriter, code int, text, format string, inFormat bool) {
	h := w.Header()
	h.Set("X-ClickHouse-Exception-Code", fmt.Sprint(code))
	h.Del("Content-Encoding")
	status := Status(code)
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="ClickHouse server HTTP API"`)
	}
	if body := exceptionIn(format, text); inFormat && body != "" {
		h.Set("Content-Type", ContentType(format))
		text = body
	} else {
		h.Set("Content-Type", "text/plain; charset=UTF-8")
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // fails only when the client is gone
}

// exceptionIn writes an exception as an answer of a JSON format; "" for others.
func exceptionIn(format, text string) string {
	var all any = map[string]string{"exception": text}
	switch {
	case !strings.HasPrefix(format, "JSON"):
		return ""
	case strings.HasPrefix(format, "JSONCompact") && strings.Contains(format, "EachRow"):
		all = []string{text}
	}
	b, err := json.Marshal(all)
	if err != nil {
		return ""
	}
	return string(b)
}
