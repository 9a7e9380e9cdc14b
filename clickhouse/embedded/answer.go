package embedded

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// answer is the output of one statement. What is small is held back until the
// statement is done, so that an error still gets its status and the summary its
// header; what is large streams.
type answer struct {
	w      http.ResponseWriter
	h      *handler
	req    *request
	accept string
	began  time.Time

	held    []byte
	out     io.WriteCloser // set once the header is sent
	started bool
}

// holdBack is how much output waits for the statement's end.
const holdBack = 64 << 10

// maxHeld bounds wait_end_of_query.
const maxHeld = 256 << 20

// format is the output format in force.
func (a *answer) format() string {
	switch {
	case a.req.stmt.format != "":
		return a.req.stmt.format
	case a.req.defaultFormat != "":
		return a.req.defaultFormat
	}
	return "TabSeparated"
}

// Write takes output of the engine.
func (a *answer) Write(b []byte) (int, error) {
	if !a.started {
		limit := holdBack
		if a.req.wait {
			limit = maxHeld
		}
		if len(a.held)+len(b) <= limit {
			a.held = append(a.held, b...)
			return len(b), nil
		}
		if err := a.start(); err != nil {
			return 0, err
		}
	}
	return a.out.Write(b)
}

// start sends the header and what was held back.
func (a *answer) start() error {
	h := a.w.Header()
	h.Set("Content-Type", contentType(a.format()))
	h.Set("X-ClickHouse-Format", a.format())
	out, err := encoder(a.w, h, a.req, a.accept)
	if err != nil {
		return fmt.Errorf("encoding answer: %w", err)
	}
	a.out, a.started = out, true
	_, err = out.Write(a.held)
	a.held = nil
	return err
}

// finish ends the answer. An error after the header was sent is written in
// ClickHouse's words and the connection is cut, so that no client takes the
// answer for whole.
func (a *answer) finish(st Stats, err error) {
	if err != nil {
		if !a.started {
			a.h.fail(a.w, err)
			return
		}
		fmt.Fprintf(a.out, "\n%v\n", err)
		_ = a.out.Close()
		panic(http.ErrAbortHandler)
	}
	if !a.started {
		summary := fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","total_rows_to_read":"%d","result_rows":"%d","result_bytes":"%d","elapsed_ns":"%d","memory_usage":"0"}`,
			st.ReadRows, st.ReadBytes, st.WrittenRows, st.WrittenBytes, st.ReadRows, st.ResultRows, st.ResultBytes, time.Since(a.began).Nanoseconds())
		a.w.Header().Set("X-ClickHouse-Summary", summary)
		if a.req.progress {
			a.w.Header().Set("X-ClickHouse-Progress", summary)
		}
		if err := a.start(); err != nil {
			return
		}
	}
	_ = a.out.Close() // fails only when the client is gone
}

// contentType gives the media type ClickHouse answers a format with.
func contentType(format string) string {
	switch format {
	case "JSON", "JSONCompact", "JSONStrings", "JSONColumns", "JSONColumnsWithMetadata", "JSONCompactStrings", "JSONCompactColumns", "JSONObjectEachRow":
		return "application/json; charset=UTF-8"
	case "JSONEachRow", "JSONStringsEachRow", "JSONCompactEachRow", "JSONCompactEachRowWithNames", "JSONCompactEachRowWithNamesAndTypes", "JSONEachRowWithProgress":
		return "application/x-ndjson; charset=UTF-8"
	case "CSV", "CSVWithNames", "CSVWithNamesAndTypes":
		return "text/csv; charset=UTF-8; header=absent"
	case "TabSeparated", "TSV":
		return "text/tab-separated-values; charset=UTF-8"
	case "TabSeparatedWithNames", "TSVWithNames", "TabSeparatedWithNamesAndTypes", "TSVWithNamesAndTypes":
		return "text/tab-separated-values; charset=UTF-8; header=present"
	case "XML":
		return "application/xml; charset=UTF-8"
	case "Native", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "Parquet", "Arrow", "ArrowStream", "ORC", "Avro":
		return "application/octet-stream"
	}
	return "text/plain; charset=UTF-8"
}
