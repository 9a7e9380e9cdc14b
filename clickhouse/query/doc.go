// Package query holds the read models: readings at each resolution, anomalies,
// OEE parts, line events. The tenant is the first condition of every statement
// and the first column of every key.
//
// All values go in as server-side parameters; no statement is built from input.
// Times are Unix milliseconds, spans are half open [From, To). Pages are keyset
// pages, so a deep page costs what the first does.
//
// Failure. ClickHouse away or overloaded is fault.Unavailable; everything else
// is returned wrapped and is a fault of ours.
package query
