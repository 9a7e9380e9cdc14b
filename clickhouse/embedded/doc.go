// Package embedded is the ClickHouse engine for one machine: libchdb, the
// engine as a shared library, in a child process that serves ClickHouse's HTTP
// interface on loopback. clickhouse-go, curl, the official JavaScript, Python
// and Java clients and BI drivers talk to it as to a server.
//
// The engine is its own process so that a crash of it is not a crash of the
// pipeline, and because it owns the signals and the memory of its process. chdb
// binds the library, wire knows what the interface looks like, this package joins
// them: connections and sessions, accounts, the end of statements.
//
// # What it promises
//
// An insert that was answered with 200 is there after kill -9 of the process.
// Insert deduplication by token works and outlives a restart.
//
// An insert whose body is cut off (chunks without their end, fewer bytes than
// Content-Length, an encoding that breaks off) is an error and leaves nothing of
// the block it was in. As on a server a block is what max_insert_block_size makes
// one, a million rows: blocks that were whole before the cut stay.
//
// Answers stream in every format, those with a frame (JSON, Parquet, …) too; the
// engine's peak for ten million rows is a few hundred MiB. The first MiB waits
// (buffer_size, wait_end_of_query as on a server), so that an early exception gets
// its status; a later one is marked in the answer as ClickHouse marks it, and the
// connection is cut; in JSON's formats it can be part of the document
// (http_write_exception_in_output_format).
//
// Progress headers come while the statement runs, until the body begins; with
// them the status is 200 before it is known, as with a server, and the connection
// ends with the answer. An insert of data reports its end only.
//
// A statement past Connections waits QueueWait for its turn and is then refused
// with code 202. One that asks for more memory than there is ends with code 241,
// an insert on a full disk with 243; the process lives, and nothing acknowledged
// is lost.
//
// A statement that reads ends within a second after its client goes away or its
// max_execution_time is over; KILL QUERY ends any, by the id its client gave it
// too. What ends so is answered with an exception or cut off, never as if it
// were whole. An INSERT … SELECT or DDL whose client is gone runs on, as in
// ClickHouse: it must not be cut between two blocks.
//
// # Limits
//
// One process may have a data directory open; Serve refuses a second. There is
// no replication, no native protocol, and no user management by SQL: users are
// those of Config. The engine makes up its own query ids: the client's is echoed,
// queryID() differs. There are no system.query_log and no other log tables.
//
// # Analysts
//
// An Analyst is an account for BI tools. It reads the databases it was given,
// under ClickHouse's own grants and constraints; of tables and views with a
// condition (Rows) the rows that meet it, as under a row policy. It sees and may
// KILL its own statements alone. Functions that reach the machine's files or the
// network are closed. To the engine all users are one: currentUser() is default
// for each of them, and what a view with SQL SECURITY DEFINER reads, its analysts
// read.
//
// So a tenant's BI user is an account with the database bi and a condition on the
// tenant for each of its views.
//
// # Non-obvious
//
// A connection of the engine runs one statement at a time, so connections are
// pooled. Settings that a request made stay on its connection until another
// request wants them otherwise; a request gets the connection on which the least
// has to be set. The engine writes Native blocks of revision 0; a client that
// names a protocol version gets them rewritten.
//
// After an error or a cancel the engine lists a statement as running until its
// connection gets another one, so one that does nothing follows.
//
// The engine's own function file() reads any file of the machine, and so do the
// templates and schemas of some formats, and no grant holds them back. The settings
// are frozen for analysts. An analyst's statement is therefore checked as the engine's
// formatter writes it: the same word can be written with escapes, other quotes, or
// blanks that only its own parser takes for one.
//
// A request from a page of another origin is refused where no password guards the
// user: a browser on this machine would otherwise let any site in.
package embedded
