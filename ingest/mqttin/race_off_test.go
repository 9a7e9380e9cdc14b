//go:build !race

package mqttin_test

const raceEnabled = false
