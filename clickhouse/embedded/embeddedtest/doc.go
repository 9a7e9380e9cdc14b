// Package embeddedtest gives tests the real ClickHouse engine: Start one a test
// process and Database a database a test, or Run one of the test's own that can
// be killed. Engines are child processes: they end with the process that
// started them, however it ends, and take their data with them.
package embeddedtest
