// Package testkit gives tests the real services: a Postgres database of their
// own on a server that ends with the test process.
package testkit
