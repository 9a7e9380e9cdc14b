package fault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
)

func answer(t *testing.T, err error) (*http.Response, fault.Document, string) {
	t.Helper()
	w := httptest.NewRecorder()
	fault.Problem(w, err)
	body := w.Body.String()
	var d fault.Document
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		t.Fatal(err)
	}
	resp := w.Result()
	t.Cleanup(func() { resp.Body.Close() })
	return resp, d, body
}

// The types and statuses are what clients branch on: they must not change.
func TestEveryKindHasItsAnswer(t *testing.T) {
	for _, c := range []struct {
		kind   fault.Kind
		status int
		slug   string
	}{
		{fault.Internal, 500, "internal"},
		{fault.BadRequest, 400, "bad-request"},
		{fault.Unauthenticated, 401, "unauthenticated"},
		{fault.Forbidden, 403, "forbidden"},
		{fault.NotFound, 404, "not-found"},
		{fault.MethodNotAllowed, 405, "method-not-allowed"},
		{fault.Timeout, 408, "timeout"},
		{fault.Conflict, 409, "conflict"},
		{fault.PreconditionFailed, 412, "precondition-failed"},
		{fault.TooLarge, 413, "too-large"},
		{fault.UnsupportedMedia, 415, "unsupported-media-type"},
		{fault.Invalid, 422, "invalid"},
		{fault.PreconditionRequired, 428, "precondition-required"},
		{fault.RateLimited, 429, "rate-limited"},
		{fault.Unavailable, 503, "unavailable"},
		{fault.Kind(255), 500, "internal"},
	} {
		// Wrapped, as it arrives.
		resp, d, _ := answer(t, fmt.Errorf("doing: %w", fault.New(c.kind, "what happened")))
		if resp.StatusCode != c.status || d.Status != c.status || d.Type != fault.TypePath+c.slug || d.Title == "" {
			t.Errorf("kind %d answers %d %+v", c.kind, resp.StatusCode, d)
		}
		if resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("kind %d answers with %v", c.kind, resp.Header)
		}
		if got := resp.Header.Get("WWW-Authenticate") != ""; got != (c.status == 401) {
			t.Errorf("kind %d challenges: %v", c.kind, got)
		}
	}
}

func TestInternalsStayInside(t *testing.T) {
	const secret = "password=hunter2 at 10.0.0.7"
	cause := errors.New(secret)
	for name, err := range map[string]error{
		"plain":           cause,
		"wrapped":         fmt.Errorf("connecting: %w", cause),
		"internal":        &fault.Error{Kind: fault.Internal, Detail: secret, Items: []fault.Item{{Message: secret}}},
		"unavailable":     fault.NewUnavailable(time.Second, cause, "the database is away"),
		"inside the rest": fmt.Errorf("%s: %w", secret, fault.New(fault.NotFound, "no such line")),
	} {
		if _, _, body := answer(t, err); strings.Contains(body, "hunter2") {
			t.Errorf("%s tells the client %s", name, body)
		}
		if !strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s hides its cause from the log", name)
		}
	}
	if err := fault.NewUnavailable(0, cause, "away"); !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
}

func TestItemsAndRetry(t *testing.T) {
	items := []fault.Item{{Location: "readings[3].value", Rule: "not_finite", Message: "must be a number"}, {Location: "b"}, {Location: "c"}, {Location: "d"}, {Location: "e"}}
	err := fault.NewInvalid(items...)
	err.Total = 900
	if _, d, _ := answer(t, err); len(d.Errors) != 5 || d.Errors[0] != items[0] || d.Total != 900 {
		t.Errorf("got %+v", d)
	}
	if s := err.Error(); !strings.Contains(s, "readings[3].value: not_finite") || !strings.Contains(s, "and 2 more") {
		t.Errorf("the log says %q", s)
	}
	// Rounded up: whoever comes a second too early is refused again.
	for d, want := range map[time.Duration]string{0: "", time.Millisecond: "1", 1500 * time.Millisecond: "2", time.Minute: "60"} {
		resp, _, _ := answer(t, fault.NewUnavailable(d, nil, "away"))
		if got := resp.Header.Get("Retry-After"); got != want {
			t.Errorf("%v gives Retry-After %q, want %q", d, got, want)
		}
	}
}

func TestKindOf(t *testing.T) {
	if k := fault.KindOf(fmt.Errorf("x: %w", fault.New(fault.Conflict, "y"))); k != fault.Conflict {
		t.Errorf("got %d", k)
	}
	if k := fault.KindOf(errors.New("x")); k != fault.Internal {
		t.Errorf("got %d", k)
	}
}
