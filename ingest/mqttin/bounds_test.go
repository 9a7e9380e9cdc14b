package mqttin_test

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	packets5 "github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/directory"
)

// connectOf is a CONNECT whose remaining length is said to be n; what follows
// the head of it is left out.
func connectOf(n int) []byte {
	b := []byte{0x10}
	return append(binary.AppendUvarint(b, uint64(n)), 0, 4, 'M', 'Q', 'T', 'T', 4, 0xC2, 0, 60)
}

// TestStrangers (S13): before log-in a packet is small, its time short, and
// sockets are limited; those who are in do not notice.
func TestStrangers(t *testing.T) {
	d := newDoor(t, setting{config: func(c *mqttin.Config) { c.Clients, c.Pending, c.LoginTime = 4, 5, 10*patience }})
	in, _ := d.wire3(nil)
	for _, n := range []int{16<<10 + 1, 1 << 20, 256<<20 - 1} {
		c := d.dial()
		c.Write(connectOf(n))
		if (wire3{t, c}).next() != nil {
			t.Errorf("a CONNECT of %d bytes is answered", n)
		}
	}
	if n := d.metric("foodflow_mqttin_closed_connections_total", "no_connect"); n != 3 {
		t.Errorf("%v connections are said to be closed for it", n)
	}
	crowd := make(chan struct{})
	var strangers sync.WaitGroup
	for range 4 {
		strangers.Go(func() {
			const mine = 10 // sockets that each keeps open, more than the door lets them
			var open []net.Conn
			defer func() {
				for _, c := range open {
					c.Close()
				}
			}()
			for {
				c, err := net.Dial("tcp", d.Addr())
				if err != nil {
					t.Error(err)
					return
				}
				if open = append(open, c); len(open) > mine {
					open[0].Close()
					open = open[1:]
				}
				select {
				case <-crowd:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	eventually(t, "strangers past the limit have to go", func() bool { return d.metric("foodflow_mqttin_closed_connections_total", "full") >= 50 })
	hello, _ := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion, hello.ClientIdentifier, hello.PasswordFlag, hello.Password = "MQTT", 4, "late", true, []byte(d.acme.secret)
	var late wire3
	eventually(t, "who has a key comes in", func() bool { // it may have to try again
		late = wire3{t, d.dial()}
		if hello.Write(late) != nil {
			return false
		}
		ack, ok := late.next().(*packets.ConnackPacket)
		return ok && ack.ReturnCode == 0
	})
	late.publish(1, 1, "ff/v1/acme/temp", "1")
	if late.puback() != 1 {
		t.Error("who came in can't send")
	}
	eventually(t, "sockets are few", func() bool { return d.metric("foodflow_mqttin_connections") <= 2+5+1 })
	close(crowd)
	strangers.Wait()
	in.publish(1, 1, "ff/v1/acme/temp", "1")
	if in.puback() != 1 {
		t.Error("who is in can't send")
	}
	eventually(t, "the strangers are forgotten", func() bool { return d.metric("foodflow_mqttin_connections") == 2 })
}

// TestStrangersAreSilent (S13): who says nothing, or not all of a CONNECT, has to
// go when the time to log in is over, and not before.
func TestStrangersAreSilent(t *testing.T) {
	const loginTime = 300 * time.Millisecond
	d := newDoor(t, setting{config: func(c *mqttin.Config) { c.LoginTime = loginTime }})
	began := time.Now()
	quietOnes := []net.Conn{d.dial(), d.dial()}
	slow := d.dial()
	slow.Write(connectOf(100)[:5])
	for _, c := range append(quietOnes, slow) {
		if (wire3{t, c}).next() != nil {
			t.Error("silence is answered")
		}
	}
	if took := time.Since(began); took < loginTime {
		t.Errorf("closed after %v", took)
	}
}

// TestClientLimit: clients past the limit are told that the server is busy, a
// tenant past its share that its quota is used up, and other tenants come in.
func TestClientLimit(t *testing.T) {
	d := newDoor(t, setting{config: func(c *mqttin.Config) { c.Clients, c.TenantShare = 4, 0.5 }})
	third := d.tenant("third")
	for i, c := range []struct {
		who         tenant
		want3, want byte
	}{{d.acme, 0, 0}, {d.acme, 0, 0}, {d.acme, 3, 0x97}, {d.rival, 0, 0}, {d.rival, 0, 0}, {third, 3, 0x89}} {
		if i%2 == 0 || c.want != 0 {
			_, ack := d.wire5(func(p *packets5.Connect) { p.ClientID, p.Password = fmt.Sprint(i), []byte(c.who.secret) })
			if ack.ReasonCode != c.want {
				t.Errorf("client %d: CONNACK %#x, want %#x", i, ack.ReasonCode, c.want)
			}
		}
		if i%2 == 1 || c.want != 0 {
			_, ack := d.wire3(func(p *packets.ConnectPacket) {
				p.ClientIdentifier, p.Password = fmt.Sprint(i), []byte(c.who.secret)
			})
			if ack.ReturnCode != c.want3 {
				t.Errorf("client %d: CONNACK %d, want %d", i, ack.ReturnCode, c.want3)
			}
		}
	}
}

// TestLargePackets: a packet up to the limit is taken, one past it ends the
// connection, with the reason where there is a way to say it.
func TestLargePackets(t *testing.T) {
	d := newDoor(t, setting{})
	w, _ := d.wire5(nil)
	var b strings.Builder
	for i := 0; b.Len() < 500<<10; i++ {
		fmt.Fprintf(&b, `,{"value":%d,"ts":%d}`, i%50, time.Now().UnixMilli()+int64(i))
	}
	large := "[" + b.String()[1:] + "]"
	n := strings.Count(large, "value")
	for i := range uint16(3) {
		w.publish(2*i+1, 1, "ff/v1/acme/temp", large)
		w.publish(2*i+2, 1, "ff/v1/acme/temp", "1")
	}
	for i := range uint16(6) {
		if ack := w.puback(); ack.PacketID != i+1 || ack.ReasonCode != 0 {
			t.Fatalf("%+v", ack)
		}
	}
	if r := len(d.readings()); r != 3*n+3 {
		t.Errorf("%d readings, want %d", r, 3*n+3)
	}
	w.publish(10, 1, "ff/v1/acme/temp", "1")
	head := append(binary.AppendUvarint([]byte{0x32}, 512<<10), 0, 15)
	w.Write(append(head, "ff/v1/acme/temp"...))
	if ack := w.puback(); ack.PacketID != 10 {
		t.Errorf("%+v", ack)
	}
	if reason := w.ended(); reason != 0x95 {
		t.Errorf("DISCONNECT %#x", reason)
	}
}

// TestKeepAlive: a client that is silent for longer than it said ends, a packet
// that doesn't come to its end does, pings are answered, and one of MQTT 5 is
// told the longest silence.
func TestKeepAlive(t *testing.T) {
	d := newDoor(t, setting{config: func(c *mqttin.Config) { c.PacketTime = 500 * time.Millisecond }})
	silent, _ := d.wire3(func(p *packets.ConnectPacket) { p.Keepalive, p.ClientIdentifier = 1, "silent" })
	lively, _ := d.wire3(func(p *packets.ConnectPacket) { p.Keepalive, p.ClientIdentifier = 2, "lively" })
	trickle, _ := d.wire3(func(p *packets.ConnectPacket) { p.Keepalive, p.ClientIdentifier = 0, "trickle" })
	forever, _ := d.wire3(func(p *packets.ConnectPacket) { p.Keepalive, p.ClientIdentifier = 65535, "forever" })
	began := time.Now()
	go func() {
		for i := 0; ; i++ { // a body of a hundred bytes, one at a time
			b := []byte{'x'}
			if i == 0 {
				b = []byte{0x32, 100}
			}
			if _, err := trickle.Write(b); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	if p := trickle.next(); p != nil {
		t.Errorf("half a packet is answered with %v", p)
	}
	keepAwake(t, d, lively)
	if p := silent.next(); p != nil || time.Since(began) < time.Second {
		t.Errorf("%v after %v", p, time.Since(began))
	}
	forever.publish(1, 1, "ff/v1/acme/temp", "1")
	if forever.puback() != 1 {
		t.Error("the longest keep alive ends at once")
	}
	for _, asked := range []uint16{0, 65535} {
		_, ack := d.wire5(func(p *packets5.Connect) { p.KeepAlive = asked })
		if k := ack.Properties.ServerKeepAlive; k == nil || *k != 1200 {
			t.Errorf("keep alive %d: the server says %v", asked, k)
		}
	}
	if _, ack := d.wire5(nil); ack.Properties.ServerKeepAlive != nil {
		t.Error("a modest keep alive is changed")
	}
}

// keepAwake pings for longer than a client that said two seconds may be silent. A
// machine that stands still for as long in between makes it silent, and proves
// nothing: then another client tries.
func keepAwake(t *testing.T, d *door, lively wire3) {
	t.Helper()
	for range 5 {
		began, last, worst := time.Now(), time.Now(), time.Duration(0)
		answered := true
		for answered && time.Since(began) < 4*time.Second { // half as long again as it said would be three
			worst, last = max(worst, time.Since(last)), time.Now()
			if packets.NewControlPacket(packets.Pingreq).Write(lively) != nil {
				answered = false
				break
			}
			_, answered = lively.next().(*packets.PingrespPacket)
			time.Sleep(300 * time.Millisecond)
		}
		if worst = max(worst, time.Since(last)); answered {
			return
		}
		if worst < 1500*time.Millisecond {
			t.Fatalf("a ping is not answered, %v after the one before at most", worst)
		}
		lively, _ = d.wire3(func(p *packets.ConnectPacket) { p.Keepalive, p.ClientIdentifier = 2, "lively again" })
	}
	t.Error("the machine stands still again and again")
}

// TestInFlight: past so many messages without an answer the socket isn't read,
// in both versions, and nothing of what comes is lost.
func TestInFlight(t *testing.T) {
	d := newDoor(t, setting{config: func(c *mqttin.Config) { c.InFlight = 10 }})
	w, ack := d.wire5(nil)
	if r := ack.Properties.ReceiveMaximum; r == nil || *r != 10 {
		t.Errorf("receive maximum %v", r)
	}
	d.freeze()
	const n = 300
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range uint16(n) {
			p := &packets5.Publish{PacketID: i + 1, QoS: 1, Topic: "ff/v1/acme/temp", Payload: []byte("1"), Properties: &packets5.Properties{}}
			if _, err := p.WriteTo(w); err != nil {
				t.Error(err)
			}
			time.Sleep(200 * time.Microsecond)
		}
	}()
	<-sent
	waiting := func() float64 { return d.metric("foodflow_mqttin_inflight_messages") }
	eventually(t, "messages wait", func() bool { return waiting() > 0 })
	for began := time.Now(); time.Since(began) < 300*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		if n := waiting(); n > 10+128 {
			t.Fatalf("%v messages wait", n)
		}
	}
	d.unfreeze()
	for i := range uint16(n) {
		if ack := w.puback(); ack.PacketID != i+1 || ack.ReasonCode != 0 {
			t.Fatalf("%+v in the place of %d", ack, i+1)
		}
	}
}

// TestQuota: past its quota an MQTT 5 client at QoS 1 is told 0x97 and its
// message is not taken; any other is held back, and everything arrives.
func TestQuota(t *testing.T) {
	const perSecond = 20 // a thousand would take a slow machine three quarters of a minute
	d := newDoor(t, setting{limits: func(l *ingest.Limits) { l.Quotas.Window = time.Second }})
	d.apply(directory.Tenant{ID: d.acme.id, Key: "acme", Quota: directory.Quota{ItemsPerSecond: perSecond}}) // as many at once
	w5, _ := d.wire5(nil)
	const n = 1000
	for i := range uint16(n) {
		w5.publish(i+1, 1, "ff/v1/acme/temp", "5")
	}
	taken := 0
	for i := range uint16(n) {
		ack := w5.puback()
		if ack.PacketID != i+1 || ack.ReasonCode != 0 && ack.ReasonCode != 0x97 {
			t.Fatalf("%+v in the place of %d", ack, i+1)
		}
		if ack.ReasonCode == 0 {
			taken++
		}
	}
	if have := len(d.readings()); taken < perSecond || taken == n || have != taken {
		t.Errorf("%d of %d taken, %d stored", taken, n, have)
	}
	w3, _ := d.wire3(nil)
	const held = 2 * perSecond // more than there can be left
	for i := range uint16(held) {
		w3.publish(i+1, byte(i%2), "ff/v1/acme/temp", "3")
	}
	for i := range uint16(held) {
		if i%2 == 1 {
			if id := w3.puback(); id != i+1 {
				t.Fatalf("PUBACK of %d", id)
			}
		}
	}
	eventually(t, "those of QoS 0 too", func() bool { return len(d.readings()) == taken+held })
	if d.metric("foodflow_mqttin_held_seconds_total") == 0 || d.metric("foodflow_mqttin_refused_messages_total", "pressure") == 0 {
		t.Error("neither is counted")
	}
}

// TestRoom: with the bytes in flight used up MQTT 5 at QoS 1 is told, 3.1.1 is
// held back; another tenant has its own share; and everything given back is.
func TestRoom(t *testing.T) {
	d := newDoor(t, setting{
		config: func(c *mqttin.Config) { c.MaxPacket, c.MaxConnect = 8<<10, 4<<10 },
		limits: func(l *ingest.Limits) { l.Body, l.Decoded, l.InFlight = 16<<10, 16<<10, 64<<10 },
	})
	d.freeze()
	payload := `{"value":1,"quality":"good"` + strings.Repeat(" ", 6<<10) + "}"
	w5, _ := d.wire5(nil)
	w3, _ := d.wire3(func(p *packets.ConnectPacket) { p.ClientIdentifier = "three" })
	const n = 30
	for i := range uint16(n) {
		w5.publish(i+1, 1, "ff/v1/acme/temp", payload)
	}
	eventually(t, "some are refused", func() bool { return d.metric("foodflow_mqttin_refused_messages_total", "pressure") > 0 })
	w3.publish(1, 1, "ff/v1/acme/temp", payload)
	eventually(t, "the other client is held back", func() bool { return d.metric("foodflow_mqttin_held_seconds_total") > 0.1 })
	rival, _ := d.wire3(func(p *packets.ConnectPacket) { p.ClientIdentifier, p.Password = "rival", []byte(d.rival.secret) })
	rival.publish(1, 1, "ff/v1/rival/temp", payload)
	eventually(t, "the rival's message is on its way", func() bool {
		return d.metric("foodflow_mqttin_inflight_messages") >= 5
	})
	d.unfreeze()
	if w3.puback() != 1 || rival.puback() != 1 {
		t.Error("not answered")
	}
	var codes []byte
	for range n {
		codes = append(codes, w5.puback().ReasonCode)
	}
	slices.Sort(codes)
	codes = slices.Compact(codes)
	if !slices.Equal(codes, []byte{0, 0x97}) {
		t.Errorf("reason codes %#x", codes)
	}
	for i := range uint16(20) { // one after the other there is always room
		w3.publish(i+10, 1, "ff/v1/acme/temp", payload)
		if id := w3.puback(); id != i+10 {
			t.Fatalf("PUBACK of %d", id)
		}
	}
}

// TestHostilePackets (S12): what makes a decoder panic, or is no MQTT, ends the
// one connection that it came by.
func TestHostilePackets(t *testing.T) {
	d := newDoor(t, setting{})
	in, _ := d.wire3(func(p *packets.ConnectPacket) { p.ClientIdentifier = "in" })
	for i, hostile := range []string{
		"\x82\x0600\x00\x00\x010", // a SUBSCRIBE that is cut off: mochi 2.7.9 reads past its end
		"\x00\x00", "\xf0\x00", "\x36\x02\x00\x00", "\x30\xff\xff\xff\xff\x01", "\x32\x03\x00\x05f", "\x20\x02\x00\x00",
		"\x00\x00\x00\x00\x01\x02\xff\xff\xff\xff\x0f", // an Avro frame
	} {
		w, _ := d.wire5(func(p *packets5.Connect) { p.ClientID = fmt.Sprint("hostile ", i) })
		w.Write([]byte(hostile))
		for w.next() != nil {
		}
		in.publish(uint16(i+1), 1, "ff/v1/acme/temp", "1")
		if id := in.puback(); id != uint16(i+1) {
			t.Fatalf("after %q: PUBACK of %d", hostile, id)
		}
	}
	eventually(t, "one panic is counted", func() bool { return d.metric("foodflow_mqttin_closed_connections_total", "panic") == 1 })
}

// TestConfig: every field that is wrong is named, at once.
func TestConfig(t *testing.T) {
	if err := mqttin.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	err := mqttin.Config{}.Validate()
	for _, field := range []string{"clients", "pending", "tenant_share", "max_packet", "max_connect", "in_flight", "login_time", "keep_alive", "recheck"} {
		if !strings.Contains(fmt.Sprint(err), "mqtt."+field) {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
	small := mqttin.DefaultConfig()
	small.MaxPacket = 768 << 10
	limits := ingest.DefaultLimits()
	limits.Body, limits.Decoded, limits.InFlight = 1<<19, 1<<19, 1<<20
	svc, err := ingest.NewService(directory.NewStore(), nil, nil, limits, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mqttin.New(small, svc, nil, slog.New(slog.DiscardHandler), nil); err == nil || !strings.Contains(err.Error(), "max_packet") {
		t.Errorf("a packet larger than a tenant's share: %v", err)
	}
}
