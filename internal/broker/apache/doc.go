// Package apache runs Apache Kafka itself, from its Maven packages, in KRaft
// mode: one broker or three, each its own process on loopback. The tests hold
// the pipeline against it; it needs Java 17 and, the first time, Maven.
package apache
