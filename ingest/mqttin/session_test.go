package mqttin_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	packets5 "github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/directory"
)

// TestSessions: a client that asked for a session finds it again while it lasts,
// and so sends again what it has no PUBACK for; nobody else does.
func TestSessions(t *testing.T) {
	d := newDoor(t, setting{config: func(c *mqttin.Config) { c.Session, c.Sessions = time.Hour, 2 }})
	connect3 := func(id string, clean bool, secret string) bool {
		w, ack := d.wire3(func(p *packets.ConnectPacket) {
			p.ClientIdentifier, p.CleanSession, p.Password = id, clean, []byte(secret)
		})
		w.send(packets.NewControlPacket(packets.Disconnect))
		w.next()
		return ack.SessionPresent
	}
	connect5 := func(id string, clean bool, expiry uint32, bye *uint32) *packets5.Connack {
		w, ack := d.wire5(func(p *packets5.Connect) {
			p.ClientID, p.CleanStart, p.Properties.SessionExpiryInterval = id, clean, &expiry
		})
		w.send(&packets5.Disconnect{Properties: &packets5.Properties{SessionExpiryInterval: bye}})
		if reason := w.ended(); reason != 0 {
			t.Errorf("DISCONNECT %#x", reason)
		}
		return ack
	}
	eventuallyGone := func() {
		eventually(t, "the client is gone", func() bool { return d.metric("foodflow_mqttin_clients") == 0 })
	}
	for i, c := range []struct{ clean, want bool }{{false, false}, {false, true}, {true, false}, {false, false}, {false, true}} {
		if got := connect3("three", c.clean, d.acme.secret); got != c.want {
			t.Errorf("3.1.1, connection %d: session present %v", i, got)
		}
		eventuallyGone()
	}
	if connect3("three", false, d.rival.secret) {
		t.Error("another tenant finds the session")
	}
	eventuallyGone()
	zero, less := uint32(0), uint32(1200)
	for i, c := range []struct {
		clean   bool
		expiry  uint32
		bye     *uint32
		present bool
		granted uint32
	}{
		{false, 1800, nil, false, 1800},
		{false, 7200, &less, true, 3600},
		{false, 1800, &zero, true, 1800},
		{false, 1800, nil, false, 1800},
		{true, 0, nil, false, 0},
		{false, 0, nil, false, 0},
		{false, 0, nil, false, 0},
	} {
		ack := connect5("five", c.clean, c.expiry, c.bye)
		if e := ack.Properties.SessionExpiryInterval; ack.SessionPresent != c.present || e == nil || *e != c.granted {
			t.Errorf("5, connection %d: session present %v, for %v s", i, ack.SessionPresent, e)
		}
		eventuallyGone()
	}
	for i := range 10 { // no more than two are kept
		connect3(fmt.Sprint("of many ", i), false, d.acme.secret)
		eventuallyGone()
	}
	found := 0
	for i := range 10 {
		if connect3(fmt.Sprint("of many ", 9-i), false, d.acme.secret) {
			found++
		}
		eventuallyGone()
	}
	if found < 1 || found > 2 {
		t.Errorf("%d sessions were kept", found)
	}
}

// TestResets: connections that are torn down at any moment, above all between
// CONNECT and CONNACK, leave nothing behind; goleak looks at the goroutines.
func TestResets(t *testing.T) {
	d := newDoor(t, setting{})
	var connect bytes.Buffer
	p, _ := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.PasswordFlag, p.Password, p.Keepalive = "MQTT", 4, true, []byte(d.acme.secret), 60
	accepted := func() bool { return d.metric("foodflow_mqttin_logins_total", "accepted") > 0 }
	// On a slow machine none may get as far as to log in before it is torn down: then
	// some more are, which live longer and longer.
	for i, began := 0, time.Now(); i < 300 || !accepted() && time.Since(began) < patience; i++ {
		connect.Reset()
		p.ClientIdentifier, p.CleanSession = fmt.Sprint("reset ", i), i%2 == 0
		if err := p.Write(&connect); err != nil {
			t.Fatal(err)
		}
		c := d.dial()
		tcp, _ := c.(*net.TCPConn)
		if err := tcp.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		tcp.Write(connect.Bytes()[:connect.Len()-i%7/3])
		time.Sleep(time.Duration(i%5*(1+i/300)) * 100 * time.Microsecond)
		tcp.Close() // resets
	}
	eventually(t, "all are forgotten", func() bool {
		return d.metric("foodflow_mqttin_connections") == 0 && d.metric("foodflow_mqttin_clients") == 0 && d.metric("foodflow_mqttin_inflight_messages") == 0
	})
	if !accepted() {
		t.Error("none of them got as far as to log in")
	}
	w, _ := d.wire3(nil)
	w.publish(1, 1, "ff/v1/acme/temp", "1")
	if w.puback() != 1 {
		t.Error("the door does not work any more")
	}
}

// TestAliases: an MQTT 5 client may name a topic once and then by number, and
// gains no rights by it.
func TestAliases(t *testing.T) {
	d := newDoor(t, setting{})
	w, _ := d.wire5(nil)
	send := func(id uint16, topic string, alias uint16) {
		w.send(&packets5.Publish{PacketID: id, QoS: 1, Topic: topic, Payload: []byte("1"), Properties: &packets5.Properties{TopicAlias: &alias}})
	}
	send(1, "ff/v1/acme/temp", 1)
	send(2, "", 1)
	send(3, "ff/v1/rival/temp", 2)
	send(4, "", 2)
	send(5, "", 3)
	send(6, "", 1)
	send(7, "ff/v1/rival/temp", 1)
	send(8, "", 1)
	for i, want := range []byte{0, 0, 0x87, 0x87, 0x87, 0, 0x87, 0x87} {
		if ack := w.puback(); ack.PacketID != uint16(i+1) || ack.ReasonCode != want {
			t.Errorf("message %d: PUBACK %d with %#x, want %#x", i+1, ack.PacketID, ack.ReasonCode, want)
		}
	}
	if n := len(d.readings()); n != 3 {
		t.Errorf("%d readings", n)
	}
	send(9, "ff/v1/acme/temp", 65)
	if reason := w.ended(); reason != 0x94 {
		t.Errorf("an alias past the maximum: DISCONNECT %#x", reason)
	}
}

// lines is a log that can be searched.
type lines struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestLogHoldsNoSecrets (S20): neither a key nor a payload comes into the log,
// at its most talkative, whatever a client does wrong.
func TestLogHoldsNoSecrets(t *testing.T) {
	log := &lines{}
	d := newDoor(t, setting{logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	const canary = "canary-in-a-payload"
	w, _ := d.wire3(nil)
	w.publish(1, 1, "ff/v1/acme/temp", canary)
	w.puback()
	again, _ := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	again.ProtocolName, again.ProtocolVersion, again.PasswordFlag, again.Password = "MQTT", 4, true, []byte(d.acme.secret)
	w.send(again) // a second CONNECT is against the rules
	if w.next() != nil {
		t.Error("a second CONNECT is answered")
	}
	v, _ := d.wire5(nil)
	v.publish(0, 1, "ff/v1/acme/temp", canary) // without a packet id
	v.ended()
	x, _ := d.wire3(func(p *packets.ConnectPacket) { p.WillFlag, p.WillTopic, p.WillMessage = true, "w", []byte(canary) })
	x.publish(1, 1, "ff/v1/+/temp", canary)
	if x.next() != nil {
		t.Error("a wildcard is answered")
	}
	d.wire3(func(p *packets.ConnectPacket) { p.Password = []byte(directory.NewKey().Reveal()) })
	// What ends a connection is logged after its client has seen the end.
	eventually(t, "the connections are over", func() bool { return d.metric("foodflow_mqttin_connections") == 0 })
	text := log.text()
	if !strings.Contains(text, "second connect") {
		t.Errorf("the log is not talkative enough to show anything: %s", text)
	}
	for _, secret := range []string{canary, d.acme.secret, strings.Split(d.acme.secret, "_")[2], fmt.Sprint([]byte(canary))[1:40]} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if strings.Contains(text, "level=ERROR") {
		t.Errorf("what clients do is no error of ours: %s", text)
	}
}
