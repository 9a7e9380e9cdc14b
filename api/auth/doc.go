// Package auth says who a request speaks for.
//
// People log in with e-mail address and password and get an access token (a JWT
// signed with Ed25519, 30 minutes) and a refresh token (256 random bits, 7 days).
// Programs send an API key, which the directory knows.
//
// Promises. Only tokens of this installation's keys, issuer, audience and type
// are accepted, only under EdDSA, only by a kid that is in force. An unknown
// user costs a log-in the same time as a known one, and both get the same answer.
// Refreshing is idempotent for a short grace: all tabs that refresh with the same
// token at once get the same successor, which is derived from it, so nothing is
// minted twice and nobody is logged out by accident; one that comes late gets the
// newest of the line. A refresh token used again
// after the grace ends every token of its log-in.
//
// An access token is refused once its user was deleted, deactivated or given
// another role or password, once its log-in was ended, and once its tenant is
// suspended or gone: the directory says so, within a second of the change and also
// with Postgres away. A token names the version of the user that it was made for,
// so no clock is trusted.
//
// Limits. Log-in throttling counts per process.
//
// Failure. Postgres down: log-in and refresh are unavailable, access tokens and
// API keys go on being accepted, since both are checked from memory.
package auth
