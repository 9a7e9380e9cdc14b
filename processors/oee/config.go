package oee

import "github.com/foodflow/foodflow/internal/plant"

// Config is a line's policy; a change of it concerns minutes that close later.
type Config struct {
	// Ideal gives the ideal rate of a product at a time, in units a minute; 0
	// when there is none, and then the ideal time of what was made is 0.
	Ideal func(product string, ts int64) float64
	// Planned gives the class of a time that is not planned for production and
	// until when that holds; ok is false for productive time. Nil: all time is.
	Planned func(ts int64) (class plant.TimeClass, until int64, ok bool)
	// ReasonClass gives the class that a stop reason stands for; false: none.
	ReasonClass func(reason string) (plant.TimeClass, bool)
	// MinorStopMS is the longest minor stop.
	MinorStopMS int64
	// SilenceMS is how long a line may be silent before that is no_signal.
	SilenceMS int64
	// Policy is stamped on each part.
	Policy uint32
}

// DefaultConfig takes stops up to five minutes for minor and two minutes of
// silence for none.
func DefaultConfig() Config {
	return Config{
		Ideal:       func(string, int64) float64 { return 0 },
		ReasonClass: plant.ReasonClass,
		MinorStopMS: plant.DefaultMinorStopMS,
		SilenceMS:   2 * minuteMS,
		Policy:      1,
	}
}

// internalStop stands for minor_stop or breakdown, which only the stop's length
// tells apart.
const internalStop = plant.TimeClass(255)

// class maps a state to its class. A state that is the line's own fault is what its
// reason stands for; minor stop or breakdown only its length decides.
func class(cfg *Config, s plant.State, reason string) plant.TimeClass {
	c, own := s.Class()
	if !own {
		return c
	}
	if reason == "" {
		return internalStop
	}
	switch c, ok := cfg.ReasonClass(reason); {
	case !ok, c == plant.ClassMinorStop, c == plant.ClassBreakdown, c == plant.ClassRunning, c == plant.ClassNoSignal:
		return internalStop
	default:
		return c
	}
}
