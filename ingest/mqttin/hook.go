package mqttin

import (
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook joins mochi to the door.
type hook struct {
	mqtt.HookBase
	s *Server
}

// ID names the hook.
func (h *hook) ID() string { return "foodflow" }

// Provides lists what the hook takes part in.
func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPacketRead, mqtt.OnPacketEncode, mqtt.OnPublish:
		return true
	}
	return false
}

// OnACLCheck lets nobody subscribe. What a client may write is looked at when
// its messages are read, so that refusals keep their place in the order.
func (h *hook) OnACLCheck(_ *mqtt.Client, _ string, write bool) bool { return write }

// OnPacketRead looks at packets before mochi does: where it would drop one
// silently, change it, or keep it longer than it should.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return pk, packets.ErrRejectPacket
	}
	l := c.login.Load()
	if l == nil {
		if pk.FixedHeader.Type == packets.Connect {
			pk = plain(pk)
		}
		return pk, nil
	}
	switch pk.FixedHeader.Type {
	case packets.Publish:
		return pk, c.inspect(l, &pk)
	case packets.Disconnect:
		if p := &pk.Properties; p.SessionExpiryIntervalFlag && (l.session > 0 || p.SessionExpiryInterval == 0) {
			l.session = min(time.Duration(p.SessionExpiryInterval)*time.Second, h.s.cfg.Session)
			p.SessionExpiryIntervalFlag = false // mochi believes that there is no session
		}
	}
	return pk, nil
}

// inspect looks at a PUBLISH. An error ends the connection.
func (c *conn) inspect(l *login, pk *packets.Packet) error {
	c.qos = pk.FixedHeader.Qos // mochi lowers it
	if c.qos > 1 && l.version >= 5 {
		c.s.m.closed.WithLabelValues(closedQoS).Inc()
		_ = c.leave(packets.ErrQosNotSupported)
		return packets.ErrRejectPacket
	}
	if pk.Properties.TopicAliasFlag {
		// An alias outlives its packet, of which the topic is a part.
		if len(pk.TopicName) > maxTopic {
			_ = c.leave(packets.ErrTopicNameInvalid)
			return packets.ErrRejectPacket
		}
		pk.TopicName = strings.Clone(pk.TopicName)
	}
	if !strings.HasPrefix(pk.TopicName, "$") || strings.ContainsAny(pk.TopicName, "+#") || mqtt.IsValidFilter(pk.TopicName, true) {
		return nil
	}
	// mochi drops the others without an answer.
	m := message{qos: c.qos}
	if m.qos > 0 {
		m.id = pk.PacketID
	}
	if strings.HasPrefix(pk.TopicName, "$SYS/broker/connection/") {
		c.add(m, 0) // a bridge says that it is there, or not; nobody listens
		return nil
	}
	c.forbid(l, m, pk)
	return nil
}

// OnPublish takes a message in. It always rejects the packet to mochi: see the
// package's note.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if c, ok := cl.Net.Conn.(*conn); ok {
		if l := c.login.Load(); l != nil {
			c.receive(l, &pk)
		}
	}
	return pk, packets.ErrRejectPacket
}
