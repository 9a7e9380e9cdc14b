// Package chdb binds libchdb, the ClickHouse engine as a shared library, without
// cgo: connections, statements, streamed answers, inserts from a reader.
//
// # Limits
//
// One process opens one data directory. A connection runs one statement at a
// time. The engine makes up its own query ids.
//
// # Non-obvious
//
// Signal handlers of the engine are switched off before its first connection:
// with them, a nil dereference in Go becomes a shutdown of the engine.
//
// The engine's own streams begin each piece as if it were the whole answer, and
// give formats with a frame around their rows (JSON, Parquet, …) in one piece.
// So answers are streamed through INTO OUTFILE into a pipe: any format is bounded,
// totals, extremes and progress rows come as from a server, and an error or a
// cancel is always reported. The pipe is opened by its name under /proc/self/fd.
//
// An open insert may only be ended by done or cancel; destroyed while it is open,
// the engine aborts the process.
package chdb
