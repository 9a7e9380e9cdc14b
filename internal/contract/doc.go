// Package contract compares two OpenAPI documents as the clients of the first
// would and names what in the second breaks them.
//
// A client sends what the old document allowed and reads what it promised. So a
// request may only be allowed more (a parameter or field that is newly required,
// a narrower type, enum or bound breaks), and an answer may only promise more (a
// field or status that is gone, a field that may now be missing, another type).
// Who could call a route must still be able to (x-roles).
//
// # Limits
//
// New values of an enum in an answer are not named: clients are told to expect
// them. Texts, examples and the order of things are no part of the contract.
package contract
