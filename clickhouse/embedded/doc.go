// Package embedded is the ClickHouse engine for one machine: libchdb, the
// engine as a shared library, in a child process that serves ClickHouse's HTTP
// interface on loopback. clickhouse-go, curl, the official JavaScript, Python
// and Java clients and BI drivers talk to it as to a server.
//
// The engine is its own process so that a crash of it is not a crash of the
// pipeline, and because it owns the signals and the memory of its process.
//
// # What it promises
//
// An insert that was answered with 200 is there after kill -9 of the process.
// Insert deduplication by token works and outlives a restart.
//
// # Limits
//
// One process may have a data directory open; Serve refuses a second. There is
// no replication, no native protocol, and no user management by SQL. The engine
// makes up its own query ids: the client's is echoed, queryID() differs. Formats
// with a frame around their rows (JSON, Parquet, …) are made in memory as one
// piece; row formats and Native stream.
//
// A statement that reads ends within a second after its client goes away or its
// max_execution_time is over; KILL QUERY ends any, by the id its client gave it
// too. What ends so is answered with an exception or cut off, never as if it
// were whole. An INSERT … SELECT or DDL whose client is gone runs on, as in
// ClickHouse: it must not be cut between two blocks.
//
// # Non-obvious
//
// Signal handlers of the engine are switched off before its first connection:
// with them, a nil dereference in Go becomes a shutdown of the engine. A
// connection of the engine runs one statement at a time, so connections are
// pooled, and what a request sets on one (settings, database, temporary tables)
// is taken back before another request gets it. Each piece of a streamed answer
// begins with the format's header; only the first one's is passed on. The
// engine writes Native blocks of revision 0; a client that names a protocol
// version gets them rewritten.
//
// The engine ends a cancelled stream without an error and then lists the
// statement as running until its connection gets another one. So an answer that
// a KILL may have hit is checked before it is called whole, and a statement that
// was cancelled or failed is followed by one that does nothing.
package embedded
