// Package replay feeds recordings of sensors through ingest: CSV files, plain or
// compressed, in their own time or shifted so that the last row is now, at a
// multiple of their speed or as fast as they are taken.
//
// # Promises
//
// Each row counts once: requests hold fewer rows than the processors remember of
// any sensor, and a request is sent again, unchanged, until it is acknowledged
// before the next one goes out. With Config.State, a replay that was cut off goes
// on where it was, with the same shift, and one that has ended is not begun
// again.
//
// # Limits
//
// A recording is read into memory whole (16 bytes a row, at most MaxRows rows).
// Times without a zone are UTC. Rows out of order are sent in order of time. In
// its own time a recording must lie within what ingest takes (no older than the
// store's retention); ingest's answer says so otherwise.
package replay
