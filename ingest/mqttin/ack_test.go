package mqttin_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	packets5 "github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/kafkaout"
)

// early is the output with the protection off: it says that Kafka has a batch
// before it does.
type early struct{ *kafkaout.Out }

func (e early) Begin(ctx context.Context, topic string, b *ingest.Batch, done func(error)) {
	for i := range b.Len() {
		key, value := b.Record(i)
		k, v := slices.Clone(key[:]), slices.Clone(value)
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			defer cancel()
			_ = e.PublishRaw(ctx, topic, k, [][]byte{v}) // nobody waits for it
		}()
	}
	done(nil)
}

// TestPubackComesAfterTheAck (P2): while the broker answers nothing no PUBACK
// comes, for readings, events and dead letters; once it does they all come. The
// control acknowledges early, and is caught.
func TestPubackComesAfterTheAck(t *testing.T) {
	messages := [][2]string{{"ff/v1/acme/temp", "1"}, {"ff/v1/acme/lines/bottling", `{"type":"count","good":1}`}, {"ff/v1/acme/temp", "no number"}}
	pubacks := func(d *door, m [2]string, within time.Duration) (before bool, after func() uint16) {
		w, _ := d.wire3(func(p *packets.ConnectPacket) { p.ClientIdentifier = m[0] + m[1] })
		w.publish(9, 1, m[0], m[1])
		return !quiet(w, within), w.puback
	}
	d := newDoor(t, setting{})
	d.freeze()
	for _, m := range messages {
		before, after := pubacks(d, m, 300*time.Millisecond)
		if before {
			t.Errorf("%v: a PUBACK comes before Kafka's ack", m)
		}
		defer func() {
			if id := after(); id != 9 {
				t.Errorf("PUBACK of %d", id)
			}
		}()
	}
	eventually(t, "three messages are said to wait", func() bool { return d.metric("foodflow_mqttin_inflight_messages") == 3 })
	eventually(t, "the oldest is said to have waited", func() bool { return d.metric("foodflow_mqttin_oldest_inflight_age_seconds") >= 0.2 })
	d.unfreeze()

	control := newDoor(t, setting{output: func(o *kafkaout.Out) ingest.Output { return early{o} }})
	control.freeze()
	if before, _ := pubacks(control, messages[0], patience); !before {
		t.Error("the control acknowledges early and is not caught: the test shows nothing")
	}
}

// shuffled answers batches in any order, some time after Kafka did.
type shuffled struct{ *kafkaout.Out }

func (s shuffled) Begin(ctx context.Context, topic string, b *ingest.Batch, done func(error)) {
	s.Out.Begin(ctx, topic, b, func(err error) {
		time.AfterFunc(rand.N(20*time.Millisecond), func() { done(err) })
	})
}

// TestPubacksInOrderOfReceipt holds MQTT-4.6.0-2 while the broker's answers
// overtake one another, and refusals need none.
func TestPubacksInOrderOfReceipt(t *testing.T) {
	d := newDoor(t, setting{output: func(o *kafkaout.Out) ingest.Output { return shuffled{o} }})
	w, _ := d.wire5(nil)
	const n = 500
	go func() {
		for i := range uint16(n) {
			p := &packets5.Publish{PacketID: i + 1, QoS: 1, Topic: "ff/v1/acme/temp", Payload: []byte("1"), Properties: &packets5.Properties{}}
			if i%5 == 4 {
				p.Payload = []byte("x")
			}
			if _, err := p.WriteTo(w); err != nil {
				t.Error(err)
				return
			}
			if i%17 == 0 {
				time.Sleep(time.Millisecond) // so that groups are many
			}
		}
	}()
	for i := range uint16(n) {
		ack := w.puback()
		if ack.PacketID != i+1 || (ack.ReasonCode != 0) != (i%5 == 4) {
			t.Fatalf("PUBACK %d with %#x in the place of %d", ack.PacketID, ack.ReasonCode, i+1)
		}
	}
	if r := len(d.readings()); r != n*4/5 {
		t.Errorf("%d readings", r)
	}
}

// TestKafkaRefuses: what Kafka doesn't take is not acknowledged; the connection
// ends, and what the client sends again is.
func TestKafkaRefuses(t *testing.T) {
	var mu sync.Mutex
	fail := true
	d := newDoor(t, setting{output: func(o *kafkaout.Out) ingest.Output {
		return refusing{o, func() bool { mu.Lock(); defer mu.Unlock(); return fail }}
	}})
	w3, _ := d.wire3(nil)
	w5, _ := d.wire5(func(p *packets5.Connect) { p.ClientID = "five" })
	reading := fmt.Sprintf(`{"ts":%d,"value":1,"seq":1}`, time.Now().UnixMilli())
	w3.publish(1, 1, "ff/v1/acme/temp", reading)
	w5.publish(1, 1, "ff/v1/acme/temp", reading)
	if p := w3.next(); p != nil {
		t.Errorf("3.1.1 hears %v", p)
	}
	if reason := w5.ended(); reason != 0x89 {
		t.Errorf("DISCONNECT %#x", reason)
	}
	if n := d.metric("foodflow_mqttin_unacknowledged_messages_total"); n != 2 {
		t.Errorf("%v unacknowledged messages are counted", n)
	}
	mu.Lock()
	fail = false
	mu.Unlock()
	again, _ := d.wire3(nil)
	p, _ := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.MessageID, p.Qos, p.Dup, p.TopicName, p.Payload = 1, 1, true, "ff/v1/acme/temp", []byte(reading)
	again.send(p)
	if again.puback() != 1 {
		t.Error("the copy is not acknowledged")
	}
}

// refusing fails while fail says so.
type refusing struct {
	*kafkaout.Out
	fail func() bool
}

func (r refusing) Begin(ctx context.Context, topic string, b *ingest.Batch, done func(error)) {
	if r.fail() {
		done(context.DeadlineExceeded)
		return
	}
	r.Out.Begin(ctx, topic, b, done)
}

// TestQoS2: a client of 3.1.1 can't be told that there is none, so it gets the
// whole exchange, begun after Kafka's ack; one of MQTT 5 was told, and is
// disconnected.
func TestQoS2(t *testing.T) {
	d := newDoor(t, setting{})
	w, _ := d.wire3(nil)
	d.freeze()
	w.publish(5, 2, "ff/v1/acme/temp", "1")
	if !quiet(w, 200*time.Millisecond) {
		t.Error("a PUBREC comes before Kafka's ack")
	}
	d.unfreeze()
	if rec, ok := w.next().(*packets.PubrecPacket); !ok || rec.MessageID != 5 {
		t.Fatal("no PUBREC")
	}
	rel, _ := packets.NewControlPacket(packets.Pubrel).(*packets.PubrelPacket)
	rel.MessageID = 5
	w.send(rel)
	if comp, ok := w.next().(*packets.PubcompPacket); !ok || comp.MessageID != 5 {
		t.Fatal("no PUBCOMP")
	}
	if err := d.paho3("two")("ff/v1/acme/temp", 2, "2"); err != nil {
		t.Error(err)
	}
	if n := len(d.readings()); n != 2 {
		t.Errorf("%d readings", n)
	}
	w5, ack := d.wire5(nil)
	if ack.Properties.MaximumQOS == nil || *ack.Properties.MaximumQOS != 1 {
		t.Error("the CONNACK does not say that there is no QoS 2")
	}
	w5.publish(1, 1, "ff/v1/acme/temp", "3")
	w5.publish(2, 2, "ff/v1/acme/temp", "4")
	if ack := w5.puback(); ack.PacketID != 1 || ack.ReasonCode != 0 {
		t.Errorf("what came before: %+v", ack)
	}
	if reason := w5.ended(); reason != 0x9B {
		t.Errorf("DISCONNECT %#x", reason)
	}
}

// TestStopDrains (P27): a stop reads nothing further, answers what has come, and
// says why it goes; everything that was acknowledged is stored, and nothing is
// stored that the clients can't know of but what was still on its way.
func TestStopDrains(t *testing.T) {
	d := newDoor(t, setting{output: func(o *kafkaout.Out) ingest.Output { return shuffled{o} }})
	w3, _ := d.wire3(nil)
	w5, _ := d.wire5(func(p *packets5.Connect) { p.ClientID = "five" })
	raw := d.dial() // never says anything
	half := d.dial()
	half.Write([]byte{0x10, 200})
	d.freeze()
	const n = 40
	for i := range uint16(n) {
		w3.publish(i+1, 1, "ff/v1/acme/temp", "3")
		w5.publish(i+1, 1, "ff/v1/acme/temp", "5")
	}
	eventually(t, "all messages wait for Kafka", func() bool { return d.metric("foodflow_mqttin_inflight_messages") == 2*n })
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		stopped <- d.Stop(ctx)
	}()
	eventually(t, "the door accepts nobody any more", func() bool {
		c, err := net.DialTimeout("tcp", d.Addr(), time.Second)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatal("stopped before the answers: ", err)
	case <-time.After(200 * time.Millisecond):
	}
	d.unfreeze()
	for i := range uint16(n) {
		if id := w3.puback(); id != i+1 {
			t.Fatalf("PUBACK of %d", id)
		}
		if ack := w5.puback(); ack.PacketID != i+1 {
			t.Fatalf("PUBACK of %d", ack.PacketID)
		}
	}
	if reason := w5.ended(); reason != 0x8B {
		t.Errorf("DISCONNECT %#x", reason)
	}
	if w3.next() != nil || (wire3{t, raw}).next() != nil || (wire3{t, half}).next() != nil {
		t.Error("a connection stays open")
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if r := len(d.readings()); r != 2*n {
		t.Errorf("%d readings of %d", r, 2*n)
	}
}

// TestStopIsBounded: a Kafka that never answers does not keep the door from
// stopping.
func TestStopIsBounded(t *testing.T) {
	d := newDoor(t, setting{})
	d.freeze()
	w, _ := d.wire3(nil)
	w.publish(1, 1, "ff/v1/acme/temp", "3")
	eventually(t, "the message waits for Kafka", func() bool { return d.metric("foodflow_mqttin_inflight_messages") == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := d.Stop(ctx); err != nil {
		t.Error(err)
	}
	if p := w.next(); p != nil {
		t.Errorf("the client hears %v", p)
	}
}

// TestLastWordsOfQoS0: messages at QoS 0 right before the end of a connection
// are stored, whether it ends with or without DISCONNECT.
func TestLastWordsOfQoS0(t *testing.T) {
	d := newDoor(t, setting{})
	for i := range 20 {
		w, _ := d.wire3(func(p *packets.ConnectPacket) { p.ClientIdentifier = fmt.Sprint(i) })
		for range 10 {
			w.publish(0, 0, "ff/v1/acme/temp", "1")
		}
		if i%2 == 0 {
			w.send(packets.NewControlPacket(packets.Disconnect))
		}
		w.Close()
	}
	eventually(t, "all are stored", func() bool { return len(d.readings()) == 200 })
}
