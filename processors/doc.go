// Package processors is the chapter of stream processing.
//
// window, anomaly and oee are pure: they import the standard library and
// internal/plant only, have no clock, no I/O and no goroutine, and their state
// is a value that can be written down and read back bit for bit. Equal inputs
// in equal order give equal outputs, which is what lets a new owner of a
// partition continue exactly where the last one stopped.
//
// run joins them with the commit law of internal/stream, the ClickHouse sink
// and the directory; snapshot keeps their state on Kafka.
package processors
