package run

import (
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/processors/anomaly"
	"github.com/foodflow/foodflow/processors/oee"
)

// configs gives detectors what the directory says of their sensors. Sensors of
// which it says the same share one Config.
type configs struct {
	directory *directory.Store
	shared    map[anomaly.Config]*anomaly.Config
	seen      uint64 // directory.Store.Changes at which shared was begun
}

// of gives a sensor's configuration as the directory has it now.
func (c *configs) of(s *sensor) *anomaly.Config {
	changes := c.directory.Changes()
	if s.cfg != nil && s.seen == changes {
		return s.cfg
	}
	if c.shared == nil || c.seen != changes {
		c.shared, c.seen = map[anomaly.Config]*anomaly.Config{}, changes
	}
	d, _ := c.directory.SensorByID(s.id)
	cfg := sensorConfig(d)
	if c.shared[cfg] == nil {
		c.shared[cfg] = &cfg
	}
	s.cfg, s.seen = c.shared[cfg], changes
	return s.cfg
}

// sensorConfig gives the detector what the directory says of a sensor; nil is a
// sensor it doesn't know.
func sensorConfig(d *directory.Sensor) anomaly.Config {
	cfg := anomaly.DefaultConfig()
	if d == nil {
		return cfg
	}
	for _, f := range []struct {
		from *float64
		to   *float64
	}{{d.LL, &cfg.LL}, {d.L, &cfg.L}, {d.H, &cfg.H}, {d.HH, &cfg.HH}, {d.RangeMin, &cfg.RangeMin}, {d.RangeMax, &cfg.RangeMax}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	cfg.Deadband, cfg.OnDelayMS, cfg.OffDelayMS = d.Deadband, d.OnDelayMS, d.OffDelayMS
	cfg.Learned, cfg.Epoch = d.Detect != directory.DetectOff, d.Epoch
	return cfg
}

// lineConfig gives the OEE ledger what a directory says of a line, which is as old
// as the configuration.
func lineConfig(dir *directory.Store, d *directory.Line) *oee.Config {
	cfg := oee.DefaultConfig()
	if d == nil {
		return &cfg
	}
	cfg.Ideal = func(product string, ts int64) float64 { return idealRate(d, product, ts) }
	cfg.ReasonClass = reasonClasses(dir, d.Tenant)
	if d.MinorStopMS > 0 {
		cfg.MinorStopMS = d.MinorStopMS
	}
	if d.SilenceTimeoutMS > 0 {
		// Signs of life are kept by the minute.
		cfg.SilenceMS = max(d.SilenceTimeoutMS, 60_000)
	}
	if d.Policy > 0 {
		cfg.Policy = d.Policy
	}
	return &cfg
}

// maxReasons bounds how many reasons a line's configuration remembers.
const maxReasons = 1000

// reasonClasses asks the directory once for each reason.
func reasonClasses(dir *directory.Store, tenant plant.ID) func(string) (plant.TimeClass, bool) {
	type answer struct {
		class plant.TimeClass
		ok    bool
	}
	known := map[string]answer{}
	return func(reason string) (plant.TimeClass, bool) {
		a, asked := known[reason]
		if !asked {
			if len(known) == maxReasons {
				clear(known)
			}
			a.class, a.ok = dir.ReasonClass(tenant, reason)
			known[reason] = a
		}
		return a.class, a.ok
	}
}

// idealRate is the rate of the product that was valid last before ts, or the
// line's own.
func idealRate(d *directory.Line, product string, ts int64) float64 {
	rate, from := d.IdealRate, int64(-1)
	for _, r := range d.Ideal {
		if r.Product == product && r.From <= ts && r.From > from {
			rate, from = r.PerMinute, r.From
		}
	}
	return rate
}
