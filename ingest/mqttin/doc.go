// Package mqttin is the MQTT door of ingest: a listener for MQTT 3.1.1 and 5,
// QoS 0 and 1.
//
// # Topics
//
//	ff/v1/{tenant}/{sensor key}      a number, a reading, or an array of readings
//	ff/v1/{tenant}/lines/{line key}  a line event, or an array of them
//
// {tenant} is the tenant's key or id. A client logs in with its API key as the
// password (or the user name), and publishes to its own tenant's topics only;
// nobody subscribes to anything.
//
// # What it promises
//
// PUBACK is sent after Kafka acknowledged every reading of the message, in the
// order in which the messages came. A message that Kafka doesn't take in time
// is not acknowledged: the connection is closed and the client sends it again.
// What can't be read is answered with reason 0x99 to an MQTT 5 client at QoS 1;
// everybody else can't be told, so the message goes to the dead letters with
// the reason and is acknowledged.
//
// # Non-obvious
//
// In mochi an error of OnPublish still acknowledges to a 3.1.1 client. So
// OnPublish always returns ErrRejectPacket, which makes mochi do nothing more,
// and the door acknowledges by itself. Client ids are put under the tenant, so
// that one tenant can't take over another's session. Topic aliases are off:
// mochi checks rights before it resolves them.
package mqttin
