// Package plant holds the nouns of a food plant as every part of FoodFlow
// speaks of them: identifiers, sensor readings, line events and the states a
// production line can be in.
//
// It is the one package that the pure processors may import besides the
// standard library, so it holds values and rules about values only: no I/O, no
// clock, no goroutine.
//
// Times are Unix milliseconds in UTC (int64), the resolution of every store.
// State names are PackML's (ANSI/ISA-TR88.00.02), with the Weihenstephan
// refinements for filling and packing lines (Lack is a starved machine,
// Tailback a blocked one).
package plant
