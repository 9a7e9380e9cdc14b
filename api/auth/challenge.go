package auth

import "github.com/foodflow/foodflow/internal/fault"

// challengeToken asks for an access token (RFC 6750, section 3).
const challengeToken = `Bearer realm="foodflow"`

// unauthenticated refuses, and names both ways in. Without a token there is no
// error of one to tell (RFC 6750, section 3.1).
func unauthenticated(detail string, cause error) *fault.Error {
	return &fault.Error{Kind: fault.Unauthenticated, Detail: detail, Cause: cause, Challenges: []string{challengeToken, fault.ChallengeKey}}
}

// badToken refuses an access token. Clients that find error="invalid_token" get a
// new one by their refresh token.
func badToken(cause error) *fault.Error {
	e := unauthenticated("the access token is not valid", cause)
	e.Challenges[0] += `, error="invalid_token", error_description="` + e.Detail + `"`
	return e
}
