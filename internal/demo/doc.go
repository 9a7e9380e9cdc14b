// Package demo describes the demo plant: one tenant, a bottling line and a
// bakery line with their products, sensors and stop reasons.
//
// It is data only. masterdata writes it to Postgres, the simulator plays it,
// and both must mean the same things by the same keys, so the description
// stands here once. Ids are derived from keys and so are the same on every
// machine and after every restart.
package demo
