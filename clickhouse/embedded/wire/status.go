package wire

import "net/http"

// Status gives the HTTP status that ClickHouse's own HTTP handler answers an
// exception code with.
func Status(code int) int {
	switch code {
	case 194: // REQUIRED_PASSWORD
		return http.StatusUnauthorized
	case 192, 193, 516, 512, 497: // UNKNOWN_USER, WRONG_PASSWORD, AUTHENTICATION_FAILED, SET_NON_GRANTED_ROLE, ACCESS_DENIED
		return http.StatusForbidden
	case 36, 427, // BAD_ARGUMENTS, CANNOT_COMPILE_REGEXP
		6, 25, 26, 27, 38, 41, 72, 376, 441, 675, 676, // CANNOT_PARSE_…
		8, 15, 44, // THERE_IS_NO_COLUMN, DUPLICATE_COLUMN, ILLEGAL_COLUMN
		37, 123, 167, 168, 223, 62, // …_AST, SYNTAX_ERROR
		117, 53, 321: // INCORRECT_DATA, TYPE_MISMATCH, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
		return http.StatusBadRequest
	case 60, 46, 47, 50, 56, 81, 115, 152, 63, 73, 336, 78, 511: // UNKNOWN_TABLE, …_FUNCTION, …_IDENTIFIER, …_SETTING
		return http.StatusNotFound
	case 381: // HTTP_LENGTH_REQUIRED
		return http.StatusLengthRequired
	case 229: // QUERY_IS_TOO_LARGE
		return http.StatusRequestEntityTooLarge
	case 779: // UNSUPPORTED_MEDIA_TYPE
		return http.StatusUnsupportedMediaType
	case 48: // NOT_IMPLEMENTED
		return http.StatusNotImplemented
	case 159: // TIMEOUT_EXCEEDED
		return http.StatusRequestTimeout
	case 209, 439, 76: // SOCKET_TIMEOUT, CANNOT_SCHEDULE_TASK, CANNOT_OPEN_FILE
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
