// Package brokertest runs what reads topics against a broker of its own.
package brokertest
