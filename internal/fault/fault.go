package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind is the class of an error as a client sees it.
type Kind uint8

// The kinds, each with one HTTP status.
const (
	Internal Kind = iota
	BadRequest
	Unauthenticated
	Forbidden
	NotFound
	MethodNotAllowed
	Conflict
	PreconditionFailed
	TooLarge
	UnsupportedMedia
	Invalid
	PreconditionRequired
	RateLimited
	Unavailable
	Timeout
)

// Item is one thing that is wrong: where, which rule it breaks, in words.
type Item struct {
	Location string `json:"location"` // e.g. readings[3].value
	Rule     string `json:"rule"`     // e.g. not_finite
	Message  string `json:"message"`
}

// Error is an error that may be shown to a client.
type Error struct {
	Kind   Kind
	Detail string
	Items  []Item
	// Total counts all items when Items was cut short; 0 means len(Items).
	Total int
	// Rejected is how many of a request's items are concerned, where it has
	// items; one may break several rules.
	Rejected int
	// RetryAfter is sent as a header when positive.
	RetryAfter time.Duration
	// Challenges are the ways in that a 401 names, in the form of WWW-Authenticate;
	// none: the API key, which every door takes.
	Challenges []string
	// Cause stays inside.
	Cause error
}

// New makes an error of a kind.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// NewInvalid makes an Invalid error from what is wrong.
func NewInvalid(items ...Item) *Error {
	return &Error{Kind: Invalid, Detail: "the request breaks a rule", Items: items}
}

// NewUnavailable makes an Unavailable error that asks to come back after d.
func NewUnavailable(d time.Duration, cause error, format string, args ...any) *Error {
	return &Error{Kind: Unavailable, Detail: fmt.Sprintf(format, args...), RetryAfter: d, Cause: cause}
}

// Error gives detail, items and cause, for logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Detail)
	for i, it := range e.Items {
		if i == 3 {
			fmt.Fprintf(&b, " and %d more", len(e.Items)-i)
			break
		}
		fmt.Fprintf(&b, "; %s: %s", it.Location, it.Rule)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %v", e.Cause)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// KindOf finds the kind of an error; Internal when it says none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
