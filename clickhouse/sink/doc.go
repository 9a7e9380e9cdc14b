// Package sink writes batches into ClickHouse: columnar blocks built row by row
// without allocation, each sent as one INSERT in ClickHouse's Native format
// under a deduplication token.
//
// An insert whose outcome is unknown (a timeout, a lost reply) is transient: it
// is sent again under the same token and counts once. The tables must have been
// checked by ddl.Check.
package sink
