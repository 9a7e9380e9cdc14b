package mqttin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	packets5 "github.com/eclipse/paho.golang/packets"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// bad are messages that can't be taken, and the code of MQTT 5 for each.
func bad() []struct {
	what, topic, payload string
	code                 byte
} {
	return []struct {
		what, topic, payload string
		code                 byte
	}{
		{"no JSON", "ff/v1/acme/temp", "twenty", 0x99},
		{"nothing", "ff/v1/acme/temp", "", 0x99},
		{"cut off", "ff/v1/acme/temp", `{"value":1`, 0x99},
		{"an unknown field", "ff/v1/acme/temp", `{"value":1,"unit":"K"}`, 0x99},
		{"another sensor than the topic's", "ff/v1/acme/temp", `{"sensor":"other","value":1}`, 0x99},
		{"no number that a double holds", "ff/v1/acme/temp", "1e999", 0x99},
		{"a time to come", "ff/v1/acme/temp", `{"ts":"2099-01-01T00:00:00Z","value":1}`, 0x99},
		{"one bad item of two", "ff/v1/acme/temp", `[{"value":1},{"value":"x"}]`, 0x99},
		{"an Avro frame", "ff/v1/acme/temp", "\x00\x00\x00\x00\x01\x02\xff\xff\xff\xff\x0f", 0x99},
		{"deep nesting", "ff/v1/acme/temp", strings.Repeat("[", 100_000), 0x99},
		{"an unknown sensor", "ff/v1/acme/nothing", "1", 0x90},
		{"an event of an unknown line", "ff/v1/acme/lines/nothing", `{"type":"count","good":1}`, 0x90},
		{"an event without a type", "ff/v1/acme/lines/bottling", `{"good":1}`, 0x99},
		{"a number for a line", "ff/v1/acme/lines/bottling", "5", 0x99},
	}
}

// TestRefusedIsTold: MQTT 5 at QoS 1 is told by reason code and words, and
// nothing of the message is stored; the messages before and behind are.
func TestRefusedIsTold(t *testing.T) {
	d := newDoor(t, setting{})
	w, _ := d.wire5(nil)
	for i, m := range bad() {
		w.publish(uint16(2*i+1), 1, m.topic, m.payload)
		w.publish(uint16(2*i+2), 1, "ff/v1/acme/temp", "1")
	}
	for i, m := range bad() {
		ack := w.puback()
		if ack.PacketID != uint16(2*i+1) || ack.ReasonCode != m.code || ack.Properties.ReasonString == "" || len(ack.Properties.ReasonString) > 300 {
			t.Errorf("%s: PUBACK %d with %#x %q, want %d with %#x", m.what, ack.PacketID, ack.ReasonCode, ack.Properties.ReasonString, 2*i+1, m.code)
		}
		if good := w.puback(); good.PacketID != uint16(2*i+2) || good.ReasonCode != 0 {
			t.Errorf("behind %s: PUBACK %d with %#x", m.what, good.PacketID, good.ReasonCode)
		}
	}
	if r, l := len(d.readings()), len(d.letters()); r != len(bad()) || l != 0 {
		t.Errorf("%d readings and %d dead letters", r, l)
	}
	if n := d.metric("foodflow_mqttin_refused_messages_total"); n != float64(len(bad())) {
		t.Errorf("%v refusals are counted", n)
	}
}

// TestRefusedWithoutWords: a client that wants no reasons, or takes only small
// packets, gets the code alone.
func TestRefusedWithoutWords(t *testing.T) {
	d := newDoor(t, setting{})
	no, small := byte(0), uint32(64)
	for name, change := range map[string]func(*packets5.Connect){
		"no problem information": func(c *packets5.Connect) { c.Properties.RequestProblemInfo = &no },
		"small packets":          func(c *packets5.Connect) { c.Properties.MaximumPacketSize = &small },
	} {
		t.Run(name, func(t *testing.T) {
			w := wire5{t, d.dial()}
			p := &packets5.Connect{
				ProtocolName: "MQTT", ProtocolVersion: 5, CleanStart: true, ClientID: name, KeepAlive: 60,
				PasswordFlag: true, Password: []byte(d.acme.secret), Properties: &packets5.Properties{},
			}
			change(p)
			w.send(p)
			if _, ok := w.next().(*packets5.Connack); !ok {
				t.Fatal("no CONNACK")
			}
			w.publish(1, 1, "ff/v1/acme/temp", "x")
			if ack := w.puback(); ack.ReasonCode != 0x99 || ack.Properties.ReasonString != "" {
				t.Errorf("%#x %q", ack.ReasonCode, ack.Properties.ReasonString)
			}
		})
	}
}

// TestRefusedBecomesALetter: who can't be told loses nothing either: the message
// is a dead letter, whole and with the reason, before it is acknowledged. Also
// one as large as a message may be.
func TestRefusedBecomesALetter(t *testing.T) {
	d := newDoor(t, setting{})
	w, _ := d.wire3(nil)
	large := strings.Repeat("x", 512<<10-100)
	sent := map[string]string{}
	for i, m := range bad() {
		w.publish(uint16(i+1), byte(1-i%2), m.topic, m.payload) // QoS 1 and 0
		sent["mqtt:"+m.topic+m.payload] = m.what
	}
	w.publish(1000, 1, "ff/v1/acme/temp", large)
	sent["mqtt:ff/v1/acme/temp"+large] = "large"
	for i := range bad() {
		if i%2 == 0 {
			if id := w.puback(); id != uint16(i+1) {
				t.Fatalf("PUBACK of %d, want %d", id, i+1)
			}
		}
	}
	if id := w.puback(); id != 1000 {
		t.Fatalf("PUBACK of %d", id)
	}
	eventually(t, "a dead letter for each", func() bool { return len(d.letters()) == len(sent) })
	for _, l := range d.letters() {
		var value []byte
		if l.Value != nil {
			value = *l.Value
		}
		if _, ok := sent[l.Topic+string(value)]; !ok || l.Reason != "ingest" || l.Detail == "" || l.Partition != -1 {
			t.Errorf("a letter nobody sent, or without words: %s %.40q %s", l.Topic, value, l.Detail)
		}
		delete(sent, l.Topic+string(value))
	}
	if len(sent) > 0 || len(d.readings()) > 0 {
		t.Errorf("no letters of %v; %d readings", sent, len(d.readings()))
	}
	// One is counted once its ack is here, which is after Kafka has it.
	eventually(t, "each letter is counted", func() bool { return d.metric("foodflow_mqttin_dead_letters_total") == float64(len(bad())+1) })
}

// TestLettersAgain: what MQTT 3.1.1 sent for a sensor that was not known yet, and
// had acknowledged, is there once the sensor is and the letters are replayed: at
// the time at which it came, whatever its form, and once.
func TestLettersAgain(t *testing.T) {
	d := newDoor(t, setting{})
	w, _ := d.wire3(nil)
	before := time.Now().UnixMilli()
	for i, payload := range []string{"21.5", `{"value":22,"seq":7}`, `[{"value":23},{"ts":` + fmt.Sprint(before-1000) + `,"value":24}]`, "nonsense"} {
		w.publish(uint16(i+1), 1, "ff/v1/acme/late", payload)
		if w.puback() != uint16(i+1) {
			t.Fatal("not acknowledged")
		}
	}
	after := time.Now().UnixMilli()
	svc, err := ingest.NewService(d.store, d.codec, d.out, ingest.DefaultLimits(), nil)
	if err != nil {
		t.Fatal(err)
	}
	producer, err := broker.OpenProducer(d.kafka)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	replay := func() (taken, refused int) {
		for _, l := range d.letters() {
			if !mqttin.IsLetter(&l) {
				t.Errorf("%s is a letter of another door", l.Topic)
			}
			msgs, err := mqttin.Messages(svc, &l)
			switch fault.KindOf(err) {
			case fault.Invalid, fault.BadRequest:
				refused++
			default:
				if err == nil {
					err = producer.Publish(t.Context(), msgs)
				}
				if err != nil {
					t.Fatal(err)
				}
				taken++
			}
		}
		return taken, refused
	}
	if taken, refused := replay(); taken != 0 || refused != 4 {
		t.Errorf("before: %d taken, %d refused", taken, refused)
	}
	time.Sleep(10 * time.Millisecond)
	d.apply(directory.Sensor{ID: plant.NewID(), Tenant: d.acme.id, Line: plant.NewID(), Key: "late"})
	for range 2 {
		if taken, refused := replay(); taken != 3 || refused != 1 {
			t.Errorf("after: %d taken, %d refused", taken, refused)
		}
	}
	identities := map[string]int{}
	for _, r := range d.readings() {
		if r.Value != 24 && (r.TS < before || r.TS > after) {
			t.Errorf("%v has the time of its second coming", r.Value)
		}
		identities[fmt.Sprint(r.TS, r.Value, r.Seq)]++
	}
	if len(identities) != 4 || len(d.readings()) != 8 {
		t.Errorf("%d readings, of %d identities, want 8 of 4: copies count once", len(d.readings()), len(identities))
	}
	one := &[]byte{'1'}
	for _, l := range []schemas.DeadLetter{
		{Topic: "mqtt:x"},
		{Topic: "mqtt:ff/v1/nobody/temp", Value: one},
		{Topic: "mqtt:ff/v1/acme/temp"},
		{Topic: "mqtt:ff/v1/" + plant.NewID().String() + "/temp", Value: one},
	} {
		if _, err := mqttin.Messages(svc, &l); err == nil {
			t.Errorf("%+v is taken", l)
		}
	}
	late := schemas.DeadLetter{Topic: "mqtt:ff/v1/acme/late", TS: before, Value: one}
	if _, err := mqttin.Messages(svc, &late); err != nil {
		t.Error(err)
	}
	d.apply(directory.Tenant{ID: d.acme.id, Key: "acme", Suspended: true})
	if _, err := mqttin.Messages(svc, &late); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("of a tenant that is suspended: %v", err)
	}
}
