// Package window holds what is remembered of a sensor's latest readings.
//
// Replay tells a reading from a copy of it that a client sent again. RFC 6479
// does that for packets with the last sequence number and a bitmap; a sensor's
// numbers are no such thing to rely on, since a device that restarts begins at
// zero again and its readings must not be taken for copies. So the window keeps
// the identities of the last readings themselves, 8 bytes each.
package window
