// Package fault is the edge between errors and what the outside sees of them.
//
// Inside, packages return wrapped errors; where an error's cause is the caller's
// input or the state of the system, it is an *Error with a Kind. Problem turns
// any error into an application/problem+json answer (RFC 9457): an *Error tells
// the client which item, field and rule; every other error becomes a 500 that
// says nothing of the inside.
//
// Point marks named places where a fault test kills the process, delays it or
// returns an error (FOODFLOW_FAILPOINT). Without the variable a point costs one
// atomic load.
package fault
