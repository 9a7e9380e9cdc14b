package plant

// Minute sums up a sensor's readings of one minute. Count is of all readings;
// the figures are of the valid ones, those not of bad quality. Two Minutes of
// the same minute merge by adding the sums and taking the extremes, so one may
// be stored in parts.
type Minute struct {
	Start           int64 // Unix milliseconds
	Count, Valid    uint32
	Sum, Min, Max   float64 // Min is +Inf and Max -Inf while Valid is 0
	FirstTS, LastTS int64
	First, Last     float64
}
