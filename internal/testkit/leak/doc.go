// Package leak looks for goroutines that a test leaves behind. goleak alone looks
// for less than half a second, and on a loaded machine a goroutine whose
// connection was closed a moment ago may need longer to notice; so it is asked
// again until nothing is left or a leak is certain.
package leak
