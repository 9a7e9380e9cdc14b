// Package directorytest fills directories for tests.
package directorytest
