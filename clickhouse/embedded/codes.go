package embedded

// Codes that this package raises itself, with ClickHouse's numbers.
const (
	codeBadRequest     = 36
	codeNotImplemented = 48
	codeTooMany        = 202
	codeSameID         = 216
	codeTooLarge       = 229
	codeNoSession      = 372
	codeSessionLocked  = 373
	codeSessionTimeout = 374
	codeCancelled      = 394
	codeDenied         = 497
	codeRole           = 512
	codeAuthentication = 516
)
