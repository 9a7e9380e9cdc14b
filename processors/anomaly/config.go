package anomaly

import "math"

// Config is what a sensor's owner says of it. A limit at infinity is none, so
// that equal configurations compare equal.
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
	// Epoch grows when what limits found before counts no longer; see Detector.Epoch.
	Epoch int64
}

// DefaultConfig has no limits and learns.
func DefaultConfig() Config {
	low, high := math.Inf(-1), math.Inf(1)
	return Config{LL: low, L: low, H: high, HH: high, RangeMin: low, RangeMax: high, MaxRate: high, Learned: true, Threshold: 0.75}
}
