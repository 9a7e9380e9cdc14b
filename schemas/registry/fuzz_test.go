package registry

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/schemas"
)

// says answers every request alike.
type says struct {
	status int
	media  string
	body   []byte
}

func (s says) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: s.status, Status: http.StatusText(s.status), Header: http.Header{"Content-Type": {s.media}},
		Body: io.NopCloser(bytes.NewReader(s.body)), ContentLength: -1, Request: r,
	}, nil
}

// FuzzAnswers: whatever a registry answers, the client gives an error of a kind
// its callers know, an id that fits a frame, or a schema of a bearable length.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		`{"id":7,"subject":"s","version":1,"schema":"\"string\""}`, `{"schema":"\"string\""}`, `{"schema":"x","schemaType":"PROTOBUF"}`,
		`{"error_code":40403,"message":"none"}`, `{"id":-1}`, `{"id":4294967296}`, `[]`, `{"compatibility":"NONE"}`, ``,
	} {
		for _, status := range []int{200, 404, 409, 422, 500} {
			f.Add(status, "application/vnd.schemaregistry.v1+json", []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, media string, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		cfg := DefaultConfig()
		cfg.URL, cfg.Attempts, cfg.Backoff = "http://registry.invalid", 1, time.Millisecond
		c, err := New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.http.Transport = bounded{says{status, media, body}}
		text, err := c.Schema(t.Context(), 7)
		switch {
		case err == nil && len(text) > maxSchema:
			t.Fatalf("a schema of %d bytes", len(text))
		case err != nil && !errors.Is(err, schemas.ErrUnknownSchema) && !errors.Is(err, schemas.ErrRegistry) && status != http.StatusUnprocessableEntity && status != http.StatusBadRequest && status != http.StatusConflict:
			t.Fatalf("status %d: an error of no known kind: %v", status, err)
		}
		if id, err := c.Register(t.Context(), "s", `"string"`); err == nil && (id < 0 || id > 1<<31-1) {
			t.Fatalf("id %d fits no frame", id)
		}
	})
}
