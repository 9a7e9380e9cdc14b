// Package wire holds what ClickHouse's HTTP interface looks like from outside:
// the text of a statement as far as HTTP needs it, encodings of bodies and
// answers, Native blocks of a client's revision, media types, the status of an
// exception, and the mark of one in the midst of an answer. It does no work of
// the engine and keeps nothing.
package wire
