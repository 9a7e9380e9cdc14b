//go:build race

package mqttin_test

// raceEnabled: the race detector multiplies memory.
const raceEnabled = true
