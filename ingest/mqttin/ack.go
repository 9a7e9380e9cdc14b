package mqttin

import (
	"bytes"
	"strconv"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// acknowledge answers the client's messages in order of receipt, each after
// Kafka did. Where Kafka didn't take one the connection ends and no later one is
// answered: the client sends them all again. It runs until the socket closes.
func (c *conn) acknowledge(l *login) {
	var out bytes.Buffer
	for {
		g := l.queue.head()
		if g == nil {
			return
		}
		select {
		case <-g.done:
		case <-c.closed:
			return
		}
		if err := g.err(); err != nil {
			c.s.m.unacknowledged.Add(float64(len(g.messages)))
			c.s.m.closed.WithLabelValues(closedKafka).Inc()
			c.s.logger.Debug("messages not acknowledged", "error", err)
			_ = c.s.broker.DisconnectClient(l.cl, packets.ErrServerBusy) // gives the code back
			c.Close()
			return
		}
		out.Reset()
		for _, m := range g.messages {
			appendAck(&out, l.cl, m)
		}
		if err := c.answer(l.cl, out.Bytes()); err != nil {
			c.Close()
			return
		}
		c.s.m.ack.Observe(time.Since(g.began).Seconds())
		l.queue.pop()
	}
}

// answer writes under the lock under which mochi writes.
func (c *conn) answer(cl *mqtt.Client, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	cl.Lock()
	defer cl.Unlock()
	_, err := c.Write(p)
	return err
}

// appendAck encodes the answer to a message, if its quality of service has one.
// A client of 3.1.1 can't be told that QoS 2 is not offered; it gets the whole
// of that exchange (mochi answers its PUBREL), for what QoS 1 promises.
func appendAck(out *bytes.Buffer, cl *mqtt.Client, m message) {
	kind := packets.Puback
	switch m.qos {
	case 0:
		return
	case 2:
		kind = packets.Pubrec
	}
	if m.code.Code == packets.CodeSuccess.Code {
		out.Write([]byte{kind << 4, 2, byte(m.id >> 8), byte(m.id)})
		return
	}
	ack := packets.Packet{
		ProtocolVersion: cl.Properties.ProtocolVersion, FixedHeader: packets.FixedHeader{Type: kind},
		PacketID: m.id, ReasonCode: m.code.Code, Properties: packets.Properties{ReasonString: m.code.Reason},
	}
	p := &cl.Properties.Props
	ack.Mods.MaxSize = p.MaximumPacketSize
	ack.Mods.DisallowProblemInfo = p.RequestProblemInfoFlag && p.RequestProblemInfo == 0
	_ = ack.PubackEncode(out) // never fails
}

// qosLabels are the values of a label.
func qosLabels() (out [3]string) {
	for q := range out {
		out[q] = strconv.Itoa(q)
	}
	return out
}
