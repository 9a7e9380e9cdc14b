package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
)

// Document is the wire form of RFC 9457 with the members that every FoodFlow
// error has.
type Document struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Errors   []Item `json:"errors,omitempty"`
	Total    int    `json:"errors_total,omitempty"`
	Rejected int    `json:"rejected,omitempty"`
}

// Encode gives the JSON, with signs as they are: "<" is for people to read, and
// no answer of this type is ever part of a page.
func (d Document) Encode() ([]byte, error) {
	type plain Document // without this method
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(plain(d)); err != nil {
		return nil, fmt.Errorf("encoding a problem: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// shape is what a kind looks like outside.
type shape struct {
	status int
	slug   string
	title  string
}

// Status is the HTTP status that a kind is answered with.
func Status(k Kind) int { return shapeOf(k).status }

func shapeOf(k Kind) shape {
	switch k {
	case BadRequest:
		return shape{http.StatusBadRequest, "bad-request", "The request can't be read"}
	case Unauthenticated:
		return shape{http.StatusUnauthorized, "unauthenticated", "Credentials are missing or not valid"}
	case Forbidden:
		return shape{http.StatusForbidden, "forbidden", "The credentials don't allow this"}
	case NotFound:
		return shape{http.StatusNotFound, "not-found", "No such resource"}
	case MethodNotAllowed:
		return shape{http.StatusMethodNotAllowed, "method-not-allowed", "The resource has no such method"}
	case Conflict:
		return shape{http.StatusConflict, "conflict", "The request conflicts with the state of the resource"}
	case PreconditionFailed:
		return shape{http.StatusPreconditionFailed, "precondition-failed", "The resource has changed"}
	case TooLarge:
		return shape{http.StatusRequestEntityTooLarge, "too-large", "The request is too large"}
	case UnsupportedMedia:
		return shape{http.StatusUnsupportedMediaType, "unsupported-media-type", "The format is not supported"}
	case Invalid:
		return shape{http.StatusUnprocessableEntity, "invalid", "The request breaks a rule"}
	case PreconditionRequired:
		return shape{http.StatusPreconditionRequired, "precondition-required", "The request must name the version it changes"}
	case RateLimited:
		return shape{http.StatusTooManyRequests, "rate-limited", "Too many requests"}
	case Unavailable:
		return shape{http.StatusServiceUnavailable, "unavailable", "The service can't do this now"}
	case Timeout:
		return shape{http.StatusRequestTimeout, "timeout", "The request took too long to arrive"}
	case Internal:
	}
	return shape{http.StatusInternalServerError, "internal", "The service made an error"}
}

// Status gives the HTTP status of a kind.
func (k Kind) Status() int { return shapeOf(k).status }

// Describe gives the wire form of err. What is not an *Error is an internal
// error without detail.
func Describe(err error) (Document, *Error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Kind: Internal}
	}
	s := shapeOf(e.Kind)
	p := Document{Type: e.Kind.Type(), Title: s.title, Status: s.status, Detail: e.Detail, Errors: e.Items, Total: e.Total, Rejected: e.Rejected}
	if e.Kind == Internal {
		p.Detail, p.Errors = "", nil
	}
	return p, e
}

// ChallengeKey asks for an API key (RFC 9110, section 11.6.1).
const ChallengeKey = `ApiKey realm="foodflow"`

// Headers gives the headers that belong to an error's answer.
func (e *Error) Headers() http.Header {
	h := http.Header{"Cache-Control": {"no-store"}}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	if e.Kind == Unauthenticated {
		h["Www-Authenticate"] = e.Challenges // in the form in which http.Header keeps names
		if len(e.Challenges) == 0 {
			h.Set("WWW-Authenticate", ChallengeKey)
		}
	}
	return h
}

// Problem answers with err as application/problem+json.
func Problem(w http.ResponseWriter, err error) {
	p, e := Describe(err)
	h := w.Header()
	for k, v := range e.Headers() {
		h[k] = v
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	if b, err := p.Encode(); err == nil { // a struct of texts and numbers
		_, _ = w.Write(append(b, '\n')) // an error means that the client is gone
	}
}
