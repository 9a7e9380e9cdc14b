package mqttin_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	packets5 "github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// wire3 and wire5 speak MQTT packet by packet, with the codecs of two client
// libraries, for what those libraries don't let their users do.
type wire3 struct {
	t *testing.T
	net.Conn
}

type wire5 struct {
	t *testing.T
	net.Conn
}

func (d *door) wire3(change func(*packets.ConnectPacket)) (wire3, *packets.ConnackPacket) {
	d.t.Helper()
	w := wire3{d.t, d.dial()}
	p, _ := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.CleanSession, p.ClientIdentifier, p.Keepalive = "MQTT", 4, true, "wire", 60
	p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = true, "key", true, []byte(d.acme.secret)
	if change != nil {
		change(p)
	}
	w.send(p)
	ack, ok := w.next().(*packets.ConnackPacket)
	if !ok {
		d.t.Fatal("no CONNACK")
	}
	return w, ack
}

func (w wire3) send(p packets.ControlPacket) {
	w.t.Helper()
	if err := p.Write(w); err != nil {
		w.t.Fatal(err)
	}
}

func (w wire3) publish(id uint16, qos byte, topic, payload string) {
	w.t.Helper()
	p, _ := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.MessageID, p.Qos, p.TopicName, p.Payload = id, qos, topic, []byte(payload)
	w.send(p)
}

// next gives the next packet, nil when the door closed the connection.
func (w wire3) next() packets.ControlPacket {
	w.t.Helper()
	w.SetReadDeadline(time.Now().Add(patience))
	p, err := packets.ReadPacket(w)
	if err != nil {
		closed(w.t, err)
		return nil
	}
	return p
}

// puback is the packet id of the next packet, which is a PUBACK.
func (w wire3) puback() uint16 {
	w.t.Helper()
	p := w.next()
	ack, ok := p.(*packets.PubackPacket)
	if !ok {
		w.t.Fatalf("%v is no PUBACK", p)
	}
	return ack.MessageID
}

// closed fails when it was not the door that closed.
func closed(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("neither a packet nor the end in %v", patience)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return
	}
	var op *net.OpError
	if !errors.As(err, &op) { // a reset is an end as well
		t.Fatal(err)
	}
}

// quiet reports whether nothing comes for a while.
func quiet(c net.Conn, d time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(d))
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

func (d *door) wire5(change func(*packets5.Connect)) (wire5, *packets5.Connack) {
	d.t.Helper()
	w := wire5{d.t, d.dial()}
	p := &packets5.Connect{
		ProtocolName: "MQTT", ProtocolVersion: 5, CleanStart: true, ClientID: "wire", KeepAlive: 60,
		UsernameFlag: true, Username: "key", PasswordFlag: true, Password: []byte(d.acme.secret), Properties: &packets5.Properties{},
	}
	if change != nil {
		change(p)
	}
	w.send(p)
	ack, ok := w.next().(*packets5.Connack)
	if !ok {
		d.t.Fatal("no CONNACK")
	}
	return w, ack
}

func (w wire5) send(p packets5.Packet) {
	w.t.Helper()
	if _, err := p.WriteTo(w); err != nil {
		w.t.Fatal(err)
	}
}

func (w wire5) publish(id uint16, qos byte, topic, payload string) {
	w.t.Helper()
	w.send(&packets5.Publish{PacketID: id, QoS: qos, Topic: topic, Payload: []byte(payload), Properties: &packets5.Properties{}})
}

// next gives the next packet, nil when the door closed the connection.
func (w wire5) next() any {
	w.t.Helper()
	w.SetReadDeadline(time.Now().Add(patience))
	p, err := packets5.ReadPacket(w)
	if err != nil {
		closed(w.t, err)
		return nil
	}
	return p.Content
}

// puback is the next packet, which is a PUBACK.
func (w wire5) puback() *packets5.Puback {
	w.t.Helper()
	p := w.next()
	ack, ok := p.(*packets5.Puback)
	if !ok {
		w.t.Fatalf("%+v is no PUBACK", p)
	}
	return ack
}

// ended reads to the end of the connection and gives the reason of the
// DISCONNECT that came, 0 when none did.
func (w wire5) ended() byte {
	w.t.Helper()
	for reason := byte(0); ; {
		switch p := w.next().(type) {
		case nil:
			return reason
		case *packets5.Disconnect:
			reason = p.ReasonCode
		}
	}
}
