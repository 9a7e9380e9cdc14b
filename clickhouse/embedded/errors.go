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
	codeCompression    = 89
	codeTooLarge       = 229
	codeSameID         = 216
	codeCancelled      = 394
)

// statusOf gives the HTTP status that ClickHouse's own HTTP handler answers an
// exception code with. READONLY, the session's codes and TOO_MANY_… are told
// apart, where ClickHouse leaves them at 500: a client must know whether it may
// try again.
func statusOf(code int) int {
	switch code {
	case 194: // REQUIRED_PASSWORD
		return http.StatusUnauthorized
	case 192, 193, codeAuthentication, 512, 497, // UNKNOWN_USER, WRONG_PASSWORD, SET_NON_GRANTED_ROLE, ACCESS_DENIED
		164: // READONLY
		return http.StatusForbidden
	case codeBadRequest, codeCompression, 427, // BAD_ARGUMENTS, UNKNOWN_COMPRESSION_METHOD, CANNOT_COMPILE_REGEXP
		6, 25, 26, 27, 38, 41, 72, 376, 441, 675, 676, // CANNOT_PARSE_…
		8, 15, 44, // THERE_IS_NO_COLUMN, DUPLICATE_COLUMN, ILLEGAL_COLUMN
		37, 123, 167, 168, 223, 62, // …_AST, SYNTAX_ERROR
		117, 53, 321: // INCORRECT_DATA, TYPE_MISMATCH, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
		return http.StatusBadRequest
	case 60, 46, 47, 50, 56, 81, 115, 152, 63, 73, 336, 78, 511, // UNKNOWN_TABLE, …_FUNCTION, …_IDENTIFIER, …_SETTING
		codeNoSession:
		return http.StatusNotFound
	case codeSessionLocked:
		return http.StatusLocked
	case codeTooLarge:
		return http.StatusRequestEntityTooLarge
	case 48: // NOT_IMPLEMENTED
		return http.StatusNotImplemented
	case 159: // TIMEOUT_EXCEEDED
		return http.StatusRequestTimeout
	case codeTooMany, 209, 439, 76: // SOCKET_TIMEOUT, CANNOT_SCHEDULE_TASK, CANNOT_OPEN_FILE
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
