package chdb

import (
	"fmt"
	"strconv"
	"strings"
)

// Codes of ClickHouse that this side of the engine raises itself.
const (
	CodeUnknown   = 1002 // for errors without a code
	codeIncorrect = 117
)

// Exception is an error of the engine, in ClickHouse's own words.
type Exception struct {
	Code int
	Text string // "Code: 60. DB::Exception: …"
}

// Error gives ClickHouse's text.
func (e *Exception) Error() string { return e.Text }

// Raise makes an exception that looks like the engine's own.
func Raise(code int, name, format string, args ...any) *Exception {
	return &Exception{Code: code, Text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), name)}
}

// exception reads the engine's error text; nil for none.
func exception(text string) error {
	if text == "" {
		return nil
	}
	e := &Exception{Text: text, Code: CodeUnknown}
	if rest, ok := strings.CutPrefix(text, "Code: "); ok {
		digits, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(digits); err == nil {
			e.Code = n
		}
	} else {
		e.Text = fmt.Sprintf("Code: %d. DB::Exception: %s", e.Code, text)
	}
	return e
}
