package mqttin_test

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	packets5 "github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/directory"
)

// TestLogIn: who has no key that is valid stays outside, and is told so in the
// words of its version.
func TestLogIn(t *testing.T) {
	d := newDoor(t, setting{})
	other := directory.NewKey()
	reader, expired := d.tenant("reader"), d.tenant("expired")
	reader.key.Scopes = []string{"read"}
	expired.key.ExpiresAt = time.Now().Add(-time.Second).UnixMilli()
	d.apply(reader.key, expired.key)
	gone := d.tenant("gone")
	d.revoke(gone)
	for name, c := range map[string]struct {
		user, password string
		in             bool
	}{
		"key as password":  {"anyone", d.acme.secret, true},
		"key as user name": {d.acme.secret, "", true},
		"nothing":          {"", "", false},
		"another's key":    {"", other.Reveal(), false},
		"half a key":       {"", d.acme.secret[:20], false},
		"without scope":    {"", reader.secret, false},
		"expired":          {"", expired.secret, false},
		"revoked":          {"", gone.secret, false},
	} {
		t.Run(name, func(t *testing.T) {
			w3, ack3 := d.wire3(func(p *packets.ConnectPacket) {
				p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = c.user != "", c.user, c.password != "", []byte(c.password)
			})
			w5, ack5 := d.wire5(func(p *packets5.Connect) {
				p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = c.user != "", c.user, c.password != "", []byte(c.password)
			})
			if c.in {
				if ack3.ReturnCode != 0 || ack5.ReasonCode != 0 {
					t.Errorf("refused with %d and %#x", ack3.ReturnCode, ack5.ReasonCode)
				}
				return
			}
			if ack3.ReturnCode != 5 || ack5.ReasonCode != 0x86 {
				t.Errorf("CONNACK %d and %#x", ack3.ReturnCode, ack5.ReasonCode)
			}
			if w3.next() != nil || w5.next() != nil {
				t.Error("the connection stays open")
			}
		})
	}
	if n := d.metric("foodflow_mqttin_logins_total", "refused"); n != 12 {
		t.Errorf("%v refused log-ins are counted", n)
	}
	w := wire3{t, d.dial()}
	w.publish(1, 1, "ff/v1/acme/temp", "1")
	if w.next() != nil {
		t.Error("a PUBLISH without a log-in is answered")
	}
}

// TestOldAndForeignProtocols are refused without harm.
func TestOldAndForeignProtocols(t *testing.T) {
	d := newDoor(t, setting{})
	_, ack := d.wire3(func(p *packets.ConnectPacket) { p.ProtocolName, p.ProtocolVersion = "MQIsdp", 3 })
	if ack.ReturnCode != 1 {
		t.Errorf("MQTT 3.1: CONNACK %d", ack.ReturnCode)
	}
	_, ack = d.wire3(func(p *packets.ConnectPacket) { p.ProtocolVersion = 7 })
	if ack.ReturnCode != 1 {
		t.Errorf("MQTT 7: CONNACK %d", ack.ReturnCode)
	}
	_, ack = d.wire3(func(p *packets.ConnectPacket) { p.ClientIdentifier, p.CleanSession = "", false })
	if ack.ReturnCode != 2 {
		t.Errorf("a session to keep without an id: CONNACK %d", ack.ReturnCode)
	}
	_, ack5 := d.wire5(func(p *packets5.Connect) { p.Properties.AuthMethod = "SCRAM-SHA-256" })
	if ack5.ReasonCode != 0x8C {
		t.Errorf("extended authentication: CONNACK %#x", ack5.ReasonCode)
	}
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x10\xff\xff\xff\xff\x7f", "\x10\xff\xff\xff\x7f", "\xe0\x00"} {
		c := d.dial()
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if (wire3{t, c}).next() != nil {
			t.Errorf("%q is answered", text)
		}
	}
	eventually(t, "no socket is open", func() bool { return d.metric("foodflow_mqttin_connections") == 0 })
}

// TestBridge: a broker of the plant that forwards to the door, as mosquitto does:
// it says in the version that it is a bridge, keeps a session, has a retained
// will, and tells its own state on a topic of the broker.
func TestBridge(t *testing.T) {
	d := newDoor(t, setting{})
	w, ack := d.wire3(func(p *packets.ConnectPacket) {
		p.ProtocolVersion, p.CleanSession, p.ClientIdentifier = 0x84, false, "plant-broker"
		p.WillFlag, p.WillTopic, p.WillMessage, p.WillRetain, p.WillQos = true, "$SYS/broker/connection/plant-broker/state", []byte("0"), true, 1
	})
	if ack.ReturnCode != 0 {
		t.Fatalf("CONNACK %d", ack.ReturnCode)
	}
	p, _ := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.MessageID, p.Qos, p.Retain, p.TopicName, p.Payload = 1, 1, true, "$SYS/broker/connection/plant-broker/state", []byte("1")
	w.send(p)
	w.publish(2, 1, "ff/v1/acme/temp", "1")
	if a, b := w.puback(), w.puback(); a != 1 || b != 2 {
		t.Errorf("PUBACKs of %d and %d", a, b)
	}
	if r, l := len(d.readings()), len(d.letters()); r != 1 || l != 0 {
		t.Errorf("%d readings and %d letters", r, l)
	}
}

// foreignTopics are not acme's to write.
func foreignTopics() []string {
	return []string{
		"ff/v1/rival/temp", "ff/v1/rival/lines/bottling", "ff/v1/nobody/temp", "ff/v1//temp", "ff/v1/acme", "ff/v1/acme/", "ff/v1/acme/lines/",
		"ff/v1/acme/temp/x", "ff/v2/acme/temp", "/ff/v1/acme/temp", "temp", "$SYS/broker/uptime", "$share/g/ff/v1/acme/temp", "$queue/x",
	}
}

// TestForeignTopics (S13): nothing gets into another tenant's plant. MQTT 5 at
// QoS 1 is told, in order; any other connection ends, since silence would pass
// for success, once what came before is answered.
func TestForeignTopics(t *testing.T) {
	d := newDoor(t, setting{})
	w, _ := d.wire5(nil)
	for i, topic := range foreignTopics() {
		w.publish(uint16(2*i+1), 1, "ff/v1/acme/temp", "1")
		w.publish(uint16(2*i+2), 1, topic, "666")
	}
	for i, topic := range foreignTopics() {
		if ack := w.puback(); ack.PacketID != uint16(2*i+1) || ack.ReasonCode != 0 {
			t.Fatalf("before %s: PUBACK %d with %#x", topic, ack.PacketID, ack.ReasonCode)
		}
		if ack := w.puback(); ack.PacketID != uint16(2*i+2) || ack.ReasonCode != 0x87 {
			t.Fatalf("%s: PUBACK %d with %#x", topic, ack.PacketID, ack.ReasonCode)
		}
	}
	for i, topic := range foreignTopics() {
		w, _ := d.wire3(nil)
		var all bytes.Buffer // at once: the door may be gone after the second
		together := wire3{t, written{w, &all}}
		together.publish(1, 1, "ff/v1/acme/temp", "1")
		together.publish(2, byte(i%2), topic, "666")
		together.publish(3, 1, "ff/v1/acme/temp", "2") // too late
		if _, err := w.Write(all.Bytes()); err != nil {
			t.Fatal(err)
		}
		if id := w.puback(); id != 1 {
			t.Fatalf("%s: PUBACK of %d", topic, id)
		}
		if p := w.next(); p != nil {
			t.Errorf("%s: %v", topic, p)
		}
	}
	w0, _ := d.wire5(nil)
	w0.publish(0, 0, "ff/v1/rival/temp", "666")
	if reason := w0.ended(); reason != 0x87 {
		t.Errorf("QoS 0: DISCONNECT %#x", reason)
	}
	for _, r := range d.readings() {
		if r.Tenant != d.acme.id || r.Value != 1 {
			t.Errorf("stored: %+v", r)
		}
	}
	if n := len(d.readings()); n != 2*len(foreignTopics()) || len(d.events())+len(d.letters()) > 0 {
		t.Errorf("%d readings, %d events, %d letters", n, len(d.events()), len(d.letters()))
	}
}

// written is a connection whose packets are kept, to be sent at once.
type written struct {
	net.Conn
	to *bytes.Buffer
}

func (w written) Write(p []byte) (int, error) { return w.to.Write(p) }

// TestNobodyHears (S13): no subscription is granted, no message, will or
// retained value is ever delivered, neither to another tenant nor to one's own.
func TestNobodyHears(t *testing.T) {
	d := newDoor(t, setting{})
	ear, _ := d.wire3(func(p *packets.ConnectPacket) { p.ClientIdentifier, p.Password = "ear", []byte(d.rival.secret) })
	ear5, _ := d.wire5(func(p *packets5.Connect) { p.ClientID = "ear5" })
	filters := []string{"#", "+/+/+/+", "ff/v1/acme/#", "ff/v1/rival/temp", "$SYS/#", "$share/g/#", "$share/g/ff/v1/acme/temp", "ff/v1/acme/temp", "will/#"}
	sub, _ := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	sub.MessageID, sub.Topics, sub.Qoss = 1, filters, make([]byte, len(filters))
	ear.send(sub)
	ack, ok := ear.next().(*packets.SubackPacket)
	if !ok || len(ack.ReturnCodes) != len(filters) {
		t.Fatalf("%v", ack)
	}
	for i, code := range ack.ReturnCodes {
		if code != 0x80 {
			t.Errorf("%s is granted to 3.1.1 with %#x", filters[i], code)
		}
	}
	sub5 := &packets5.Subscribe{PacketID: 1, Properties: &packets5.Properties{}}
	for _, f := range filters {
		sub5.Subscriptions = append(sub5.Subscriptions, packets5.SubOptions{Topic: f, QoS: 1})
	}
	ear5.send(sub5)
	ack5, ok := ear5.next().(*packets5.Suback)
	if !ok || len(ack5.Reasons) != len(filters) {
		t.Fatalf("%v", ack5)
	}
	for i, code := range ack5.Reasons {
		if code < 0x80 {
			t.Errorf("%s is granted to 5 with %#x", filters[i], code)
		}
	}
	delay := uint32(1 << 31)
	late, _ := d.wire5(func(p *packets5.Connect) {
		p.ClientID, p.WillFlag, p.WillTopic, p.WillMessage, p.WillRetain, p.WillQOS = "late", true, "will/acme", []byte("gone"), true, 2
		p.WillProperties = &packets5.Properties{WillDelayInterval: &delay}
	})
	late.Close()
	w, will := d.wire3(func(p *packets.ConnectPacket) {
		p.WillFlag, p.WillTopic, p.WillMessage, p.WillRetain, p.WillQos = true, "will/acme", []byte("gone"), true, 2
	})
	if will.ReturnCode != 0 {
		t.Errorf("a will is refused with %d", will.ReturnCode)
	}
	p, _ := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.MessageID, p.Qos, p.Retain, p.TopicName, p.Payload = 1, 1, true, "ff/v1/acme/temp", []byte("5")
	w.send(p) // retained: taken like any other, and not kept
	if w.puback() != 1 {
		t.Error("a retained message is not taken")
	}
	p.MessageID, p.Payload = 2, nil
	w.send(p) // deletes what is retained
	if w.puback() != 2 {
		t.Error("an empty retained message is not taken")
	}
	w.Close() // without DISCONNECT: the will's moment
	again, _ := d.wire3(func(p *packets.ConnectPacket) { p.ClientIdentifier = "again" })
	again.send(sub)
	if s, ok := again.next().(*packets.SubackPacket); !ok || s.ReturnCodes[0] != 0x80 {
		t.Error("no refusal")
	}
	for name, c := range map[string]wire3{"the rival": ear, "the own tenant": again, "MQTT 5": {t, ear5.Conn}} {
		if !quiet(c, 200*time.Millisecond) {
			t.Errorf("%s hears something", name)
		}
	}
	if r := d.readings(); len(r) != 1 || len(d.letters()) != 0 {
		t.Errorf("%d readings, %d letters", len(r), len(d.letters()))
	}
}

// TestClientIDs (S13): another tenant's client id is another session; one's own
// takes the connection over.
func TestClientIDs(t *testing.T) {
	d := newDoor(t, setting{})
	same := func(p *packets.ConnectPacket) { p.ClientIdentifier = "gateway" }
	first, _ := d.wire3(same)
	thief, _ := d.wire3(func(p *packets.ConnectPacket) {
		p.ClientIdentifier, p.Password = d.acme.id.String()+"/gateway", []byte(d.rival.secret)
	})
	d.wire3(func(p *packets.ConnectPacket) { p.ClientIdentifier, p.Password = "gateway", []byte(d.rival.secret) })
	first.publish(1, 1, "ff/v1/acme/temp", "1")
	if first.puback() != 1 {
		t.Fatal("another tenant took the session over")
	}
	second, _ := d.wire3(same)
	if p := first.next(); p != nil { // and no DISCONNECT, which 3.1.1 does not know from a server
		t.Errorf("the old connection hears %v", p)
	}
	second.publish(1, 1, "ff/v1/acme/temp", "1")
	if second.puback() != 1 || !quiet(thief, 50*time.Millisecond) {
		t.Error("the new connection does not work, or the thief hears of it")
	}
	old, _ := d.wire5(func(p *packets5.Connect) { p.ClientID = "five" })
	d.wire5(func(p *packets5.Connect) { p.ClientID = "five" })
	if reason := old.ended(); reason != 0x8E {
		t.Errorf("DISCONNECT %#x", reason)
	}
	_, ack := d.wire5(func(p *packets5.Connect) { p.ClientID = "" })
	if ack.ReasonCode != 0 || ack.Properties.AssignedClientID == "" {
		t.Errorf("without an id: %+v", ack)
	}
}

// TestRevokedKeyEndsConnections (S9, S13): within a second of the directory's
// knowing, a connection that was let in with a key that is revoked, deleted,
// expired or of a suspended tenant ends, quiet or busy.
func TestRevokedKeyEndsConnections(t *testing.T) {
	d := newDoor(t, setting{})
	for name, end := range map[string]func(tenant){
		"revoked":   d.revoke,
		"expired":   func(x tenant) { x.key.ExpiresAt = time.Now().UnixMilli(); d.apply(x.key) },
		"no scope":  func(x tenant) { x.key.Scopes = []string{"read"}; d.apply(x.key) },
		"suspended": func(x tenant) { d.apply(directory.Tenant{ID: x.id, Key: "t-suspended", Suspended: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			key := map[string]string{"revoked": "t-revoked", "expired": "t-expired", "no scope": "t-scope", "suspended": "t-suspended"}[name]
			x := d.tenant(key)
			idle, _ := d.wire5(func(p *packets5.Connect) { p.ClientID, p.Password = "idle", []byte(x.secret) })
			busy, _ := d.wire3(func(p *packets.ConnectPacket) { p.ClientIdentifier, p.Password = "busy", []byte(x.secret) })
			busy.publish(1, 1, "ff/v1/"+key+"/temp", "1")
			if busy.puback() != 1 {
				t.Fatal("not taken before")
			}
			end(x)
			began := time.Now()
			if reason := idle.ended(); reason != 0x87 {
				t.Errorf("DISCONNECT %#x after %v", reason, time.Since(began))
			}
			for busy.next() != nil {
				t.Error("something comes")
			}
			t.Logf("both ended after %v", time.Since(began).Round(time.Millisecond))
		})
	}
	if mqttin.DefaultConfig().Recheck > 500*time.Millisecond {
		t.Error("keys are looked at too seldom for a second to be kept")
	}
}

// TestRevokedKeyOfADeafClient: a client that doesn't read its answers keeps
// neither itself nor others in.
func TestRevokedKeyOfADeafClient(t *testing.T) {
	d := newDoor(t, setting{config: func(c *mqttin.Config) { c.WriteTime = 10 * patience }})
	deaf, other := d.tenant("deaf"), d.tenant("other")
	w, _ := d.wire5(func(p *packets5.Connect) { p.Password = []byte(deaf.secret) })
	words := strings.Repeat("x", 100)
	go func() {
		for i := uint16(1); ; i++ { // each refusal is 100 bytes that nobody reads
			if _, err := (&packets5.Publish{PacketID: max(i, 1), QoS: 1, Topic: "ff/v1/deaf/temp", Payload: []byte(words), Properties: &packets5.Properties{}}).WriteTo(w); err != nil {
				return
			}
		}
	}()
	eventually(t, "its answers back up", func() bool {
		before := d.metric("foodflow_mqttin_ack_duration_seconds")
		time.Sleep(300 * time.Millisecond)
		return before > 0 && d.metric("foodflow_mqttin_ack_duration_seconds") == before
	})
	listener, _ := d.wire5(func(p *packets5.Connect) { p.ClientID, p.Password = "listener", []byte(other.secret) })
	d.revoke(deaf)
	time.Sleep(50 * time.Millisecond)
	d.revoke(other)
	began := time.Now()
	if reason := listener.ended(); reason != 0x87 {
		t.Errorf("DISCONNECT %#x after %v", reason, time.Since(began))
	}
	eventually(t, "both are gone", func() bool { return d.metric("foodflow_mqttin_clients") == 0 }) // far sooner than WriteTime
	t.Logf("both are gone after %v", time.Since(began).Round(time.Millisecond))
}
