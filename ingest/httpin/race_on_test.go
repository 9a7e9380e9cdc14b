//go:build race

package httpin

// raceEnabled: the race detector multiplies memory.
const raceEnabled = true
