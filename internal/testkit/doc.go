// Package testkit gives tests the real services: a Postgres database of their
// own on a server that ends with the test process, and Apache Kafka; and a way
// through the network (Proxy) that a test cuts, slows and silences.
package testkit
