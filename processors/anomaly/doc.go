// Package anomaly is the detector of one sensor: what it learns of the sensor,
// the score it gives each reading, and the findings it raises.
//
// # Score
//
// The level and the spread of a sensor are followed robustly: the level by a
// step of at most two spreads a reading (Huber), the spread by a stochastic
// estimate of the mean absolute deviation. A reading's distance is its
// difference to the level in spreads, the larger of a fast and a slow estimate.
//
// Distances of different sensors do not compare: one is Gaussian, another has
// tails a hundred spreads long. So each sensor learns the tail of its own
// distances: a threshold passed by one reading in fifty, found by stochastic
// approximation, and a generalised Pareto tail fitted to the excesses by
// moments (Pickands 1975; Hosking and Wallis 1987). The score is
// -log10 P(distance or larger) / 6, cut at 1: 0.5 is one in a thousand readings,
// 1 one in a million. A running excursion scores again only when it grows or
// after a pause, and a sensor that cries often is damped until it is quiet.
//
// # Findings
//
// Limits (LL, L, H, HH with deadband, on-delay and off-delay), the instrument's
// range and the largest rate of change are not learnt; each raises one finding
// when it becomes active and another, marked as ended, when it is kept again. A deviation is found at a score of Config.Threshold.
// A flatline is a value repeated far beyond the sensor's own habit.
//
// # Limits
//
// The detector is causal: scores never change with what follows. Readings of
// bad quality, and readings older than the newest, are neither scored nor
// learnt, so a backfill never alarms in arrears; but a newest reading that was
// ahead of the broker's clock doesn't silence those that follow from a clock put
// right. During the first 200 readings
// only limits are found.
package anomaly
