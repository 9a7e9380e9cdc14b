package anomaly

import "math"

// Config is what a sensor's owner says of it. NaN means "none".
type Config struct {
	LL, L, H, HH       float64
	RangeMin, RangeMax float64
	// MaxRate is the largest change a second, in the sensor's unit.
	MaxRate  float64
	Deadband float64
	// OnDelayMS and OffDelayMS are how long a limit must be passed, or kept
	// again, before that counts.
	OnDelayMS, OffDelayMS int64
	// Learned switches deviation and flatline detection on.
	Learned bool
	// Threshold is the score at which a deviation is found.
	Threshold float32
}

// DefaultConfig has no limits and learns.
func DefaultConfig() Config {
	n := math.NaN()
	return Config{LL: n, L: n, H: n, HH: n, RangeMin: n, RangeMax: n, MaxRate: n, Learned: true, Threshold: 0.75}
}
