// Package apache runs Apache Kafka itself, from its Maven packages, in KRaft
// mode: one broker or several, each its own supervised process on loopback. It
// is the engine of foodflow up --kafka apache, and what the tests hold the
// pipeline against; it needs Java 17 and, the first time, Maven.
//
// A broker that ends is started again. What it acknowledged is there after
// kill -9 of its process, since the page cache outlives a process; against the
// loss of a disk or of power only replicas on other machines help, and these
// brokers share one machine. With three brokers or more the internal topics
// have three replicas, two of which must hold a record before it counts.
//
// Start returns when every broker is registered and takes requests; when one
// fails, those that were started are stopped.
package apache
