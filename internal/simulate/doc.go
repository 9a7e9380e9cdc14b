// Package simulate plays the demo plant: a bottling line and a bakery line with
// PackML states, counters and sensors whose values follow the line's state, with
// cleanings, changeovers and planted faults. Everything follows from a seed.
//
// # The truth
//
// What was planted is written to a journal, one JSON record a line: readings per
// sensor and minute, states, events per line and minute, expected OEE figures
// per line, minute and product, and planted anomalies. The figures come from the
// plan of states and from the counters, not from processors/oee. A group of
// records ends with a mark that says until when everything has been
// acknowledged; marks are synced to disk. Verify compares what ClickHouse holds
// with the journal.
//
// # Promises
//
// The same seed and origin give the same readings, events and journal, in steps
// of whatever length: a value depends on device time only. After a restart, also
// after kill -9, the simulator plays silently up to the last mark and goes on
// from there; what was sent and not marked is sent again with the same sequence
// numbers and event ids, so it counts once. A pause of more than Config.CatchUp
// begins a new run with an origin of its own; the journal keeps all runs.
//
// # What others send
//
// The time of a sensor's reading follows from its sequence number, so a reading
// of the simulator's sensors with another identity was sent by someone else: a
// person who tried a command. Verify counts these apart (Report.Others) and
// passes no judgement on how many they are, but the minutes must come to what
// was planted and to these. Whatever happens to a planted reading is found all
// the same: lost, doubled, with another value or quality, or, when its time or
// number was altered, missing where it belongs. A row that was made up out of
// nothing, under an identity that is not the simulator's and at a place of its
// own on Kafka, looks like someone else's: where nobody else sends, as in the
// tests, Others must be 0. An event of someone else on the simulator's lines
// alters what these lines come to, and counts as extra.
//
// # Limits
//
// The expected figures hold for lines whose whole time is planned: a shift
// calendar in the OEE ledger would have to be planned here too. Verify judges
// counts and figures exactly (sums of floats within 1e-9 of their size); planted
// anomalies found and missed are reported and judged by nobody, since how much a
// detector must find is the benchmark's business.
package simulate
