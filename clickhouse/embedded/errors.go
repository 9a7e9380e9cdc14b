package embedded

import "net/http"

// codeUnknown is ClickHouse's UNKNOWN_EXCEPTION, for errors without a code.
const codeUnknown = 1002

// Codes that this package raises itself, with ClickHouse's numbers.
const (
	codeAuthentication = 516
	codeTooMany        = 202
	codeNoSession      = 372
	codeSessionLocked  = 373
	codeBadRequest     = 36
	codeCompression    = 432
)

// statusOf gives the HTTP status that ClickHouse's own HTTP handler answers an
// exception code with.
func statusOf(code int) int {
	switch code {
	case 192, 193, 194, 516: // UNKNOWN_USER … AUTHENTICATION_FAILED
		return http.StatusForbidden
	case 291, 497, 164: // DATABASE_ACCESS_DENIED, ACCESS_DENIED, READONLY
		return http.StatusForbidden
	case 6, 26, 27, 28, 33, 34, 36, 38, 41, 42, 43, 44, 46, 47, 50, 53, 62, 63, 69, 70, 72, 73, 115, 117, 130, 131, 153, 208, 349, 376, 377, 386, 407, 432, 456, 457, 636, 646:
		return http.StatusBadRequest
	case 60, 81, 16, 51: // UNKNOWN_TABLE, UNKNOWN_DATABASE, NO_SUCH_COLUMN_IN_TABLE, …
		return http.StatusNotFound
	case codeNoSession:
		return http.StatusNotFound
	case codeSessionLocked:
		return http.StatusLocked
	case 223: // QUERY_IS_TOO_LARGE
		return http.StatusRequestEntityTooLarge
	case 48: // NOT_IMPLEMENTED
		return http.StatusNotImplemented
	case 159: // TIMEOUT_EXCEEDED
		return http.StatusRequestTimeout
	case codeTooMany, 203, 209, 210:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
