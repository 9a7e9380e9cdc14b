package plant

import "math"

// NoSeq is the sequence number of a reading whose producer sends none.
const NoSeq int64 = -1

// MaxValue is the largest magnitude of a value. It lies far beyond all that is
// measured, even beyond what controllers send for "no value" (3.4e38), and far
// below where sums and squares of values leave what a float64 holds.
const MaxValue = 1e100

// Reading is one value of one sensor.
type Reading struct {
	Tenant ID
	Line   ID // zero when the sensor belongs to no line
	Sensor ID
	// TS is the device's time, Unix milliseconds UTC.
	TS int64
	// Value is in the sensor's unit, within MaxValue of 0.
	Value   float64
	Quality Quality
	// Seq is the producer's own sequence number (>= 0) or NoSeq; for a reading
	// that came without a time, the number of its arrival (intake.Arrivals).
	Seq int64
}

// Key is the Kafka record key: the line, so that a line has one owner and its
// sensors and events meet there; a sensor without a line is its own key.
func (r *Reading) Key() ID {
	if r.Line.IsZero() {
		return r.Sensor
	}
	return r.Line
}

// Identity is what makes two readings of one sensor the same reading:
// (ts, seq), or (ts, value) when the producer sends no seq. The second word is
// the seq or the value's bits.
func (r *Reading) Identity() (ts int64, word uint64) {
	if r.Seq >= 0 {
		return r.TS, uint64(r.Seq)
	}
	return r.TS, math.Float64bits(r.Value)
}

// Quality is the producer's judgement of a value, after OPC UA's three
// severities of a StatusCode.
type Quality uint8

// The qualities; the numbers are stored.
const (
	QualityGood Quality = iota
	QualityUncertain
	QualityBad
)

// Qualities lists them in order of their numbers, by name.
func Qualities() []string { return []string{"good", "uncertain", "bad"} }

// String names the quality.
func (q Quality) String() string { return nameOf(Qualities(), int(q)) }

// ParseQuality reads a name; "" is good, as a producer that knows no quality
// means.
func ParseQuality(s string) (Quality, bool) {
	if s == "" {
		return QualityGood, true
	}
	i, ok := indexOf(Qualities(), s)
	return Quality(i), ok
}

func nameOf(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return "invalid"
	}
	return names[i]
}

func indexOf(names []string, s string) (int, bool) {
	for i, n := range names {
		if n == s {
			return i, true
		}
	}
	return 0, false
}
