// Package demo describes the demo plant: one tenant, a bottling line, a bakery
// line and a packing line worked by hand, with their products, sensors and stop
// reasons.
//
// It is data only. masterdata writes it to Postgres, the simulator plays it,
// and both must mean the same things by the same keys, so the description
// stands here once. The line worked by hand is for people: the simulator leaves
// it alone, so whoever tries the documentation's examples on it does not stand
// between what was planted and what is found. Ids are derived from keys and so are the same on every
// machine and after every restart.
package demo
