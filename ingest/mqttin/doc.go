// Package mqttin is the MQTT door of ingest: a listener for MQTT 3.1.1 and 5,
// QoS 0 and 1.
//
// # Topics
//
//	ff/v1/{tenant}/{sensor key}      a number, a reading, or an array of readings
//	ff/v1/{tenant}/lines/{line key}  a line event, or an array of them
//
// {tenant} is the tenant's key or id, sensors and lines go by key or id as well.
// A client logs in with its API key as the password (or the user name), and
// publishes to its own tenant's topics only; nobody subscribes to anything.
//
// # What it promises
//
// PUBACK is sent after Kafka acknowledged every reading of the message, in the
// order in which the messages came. A message that Kafka doesn't take in time
// is not acknowledged: the connection is closed and the client sends it again.
// A message is all or nothing, and none is dropped in silence:
//
//	                        MQTT 5, QoS 1     any other
//	it can't be read        PUBACK 0x99       a dead letter, then PUBACK
//	no such sensor or line  PUBACK 0x90       a dead letter, then PUBACK
//	not this key's topic    PUBACK 0x87       the connection ends
//	a quota or the room     PUBACK 0x97       the socket isn't read until
//	 in flight is used up                     there is room
//	QoS 2                   DISCONNECT 0x9B   PUBREC where PUBACK would be
//	                                          (3.1.1 has no way to refuse it)
//
// Before a connection is ended for what came by it, what came before is
// answered. A stop of the door does so for all of them, within the time that the
// stop has.
//
// # Failure behaviour
//
// A key that is revoked, expires or loses its scope ends its connections within
// Config.Recheck. Sockets, clients, clients of one tenant, packets (small ones
// before log-in), the time of a log-in, of a packet and of an answer, messages
// and bytes in flight are bounded (Config, ingest.Limits).
//
// A retained message is taken like any other and not kept; wills are not
// published, whatever they ask for; a session is only remembered (see
// session.go). Nobody can tell the difference, since nobody subscribes, and many
// gateways can't be told to do without.
//
// # Non-obvious
//
// In mochi an error of OnPublish still acknowledges to a 3.1.1 client. So
// OnPublish always returns ErrRejectPacket, which makes mochi do nothing more,
// and the door acknowledges by itself. Client ids are put under the tenant, so
// that one tenant can't take over another's session.
//
// mochi 2.7.9 leaves much to its listener, which is why there is one here: it
// tells nothing of a client that is gone before its CONNACK is written; a panic
// in its decoders (a SUBSCRIBE of MQTT 5 that is cut off) ends the process;
// until a CONNECT came it waits for ever, and it makes room for a packet as soon
// as it knows the length.
//
// mochi reads 8 KiB at once and asks for more when it has worked off all of it:
// that moment ends a group of messages, which go to Kafka and are acknowledged
// together.
package mqttin
