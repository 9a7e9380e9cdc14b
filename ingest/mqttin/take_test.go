package mqttin_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/foodflow/foodflow/internal/plant"
)

// publisher sends one message and returns once the library says it is done.
type publisher func(topic string, qos byte, payload string) error

// paho3 is Eclipse Paho for MQTT 3.1.1.
func (d *door) paho3(id string) publisher {
	d.t.Helper()
	opts := mqtt.NewClientOptions().AddBroker("tcp://" + d.Addr()).SetClientID(id).SetUsername("key").SetPassword(d.acme.secret).
		SetAutoReconnect(false).SetConnectTimeout(patience).SetProtocolVersion(4)
	c := mqtt.NewClient(opts)
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		d.t.Fatal("connecting: ", token.Error())
	}
	d.t.Cleanup(func() { c.Disconnect(100) })
	return func(topic string, qos byte, payload string) error {
		token := c.Publish(topic, qos, false, payload)
		if !token.WaitTimeout(patience) {
			return fmt.Errorf("no answer in %v", patience)
		}
		return token.Error()
	}
}

// paho5 is Eclipse Paho for MQTT 5, another code base.
func (d *door) paho5(id string) publisher {
	d.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(d.t.Context(), "tcp", d.Addr())
	if err != nil {
		d.t.Fatal(err)
	}
	c := paho.NewClient(paho.ClientConfig{Conn: conn, PacketTimeout: patience})
	ack, err := c.Connect(d.t.Context(), &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 30, UsernameFlag: true, Username: d.acme.secret})
	if err != nil {
		d.t.Fatal(err)
	}
	if p := ack.Properties; !p.RetainAvailable || p.SharedSubAvailable || p.WildcardSubAvailable || *p.MaximumQoS != 1 || *p.TopicAliasMaximum != 64 || *p.MaximumPacketSize != 512<<10 || *p.ReceiveMaximum != 1000 {
		d.t.Errorf("CONNACK says %+v", p)
	}
	d.t.Cleanup(func() { c.Disconnect(&paho.Disconnect{}) })
	return func(topic string, qos byte, payload string) error {
		ctx, cancel := context.WithTimeout(d.t.Context(), patience)
		defer cancel()
		r, err := c.Publish(ctx, &paho.Publish{Topic: topic, QoS: qos, Payload: []byte(payload)})
		if err == nil && r.ReasonCode != 0 {
			err = fmt.Errorf("reason %#x", r.ReasonCode)
		}
		return err
	}
}

// mosquitto is the command line client.
func (d *door) mosquitto(version string) publisher {
	d.t.Helper()
	if _, err := exec.LookPath("mosquitto_pub"); err != nil {
		if os.Getenv("REQUIRE_SERVICES") != "" {
			d.t.Fatal(err)
		}
		d.t.Skip("needs mosquitto_pub")
	}
	host, port, err := net.SplitHostPort(d.Addr())
	if err != nil {
		d.t.Fatal(err)
	}
	return func(topic string, qos byte, payload string) error {
		out, err := exec.CommandContext(d.t.Context(), "mosquitto_pub", "-h", host, "-p", port, "-V", version, "-u", d.acme.secret, "-q", fmt.Sprint(qos), "-t", topic, "-m", payload).CombinedOutput()
		if err != nil || len(out) > 0 {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
}

// TestClients publishes every form of a reading and of a line event by four
// clients of two versions, at every quality of service that they may use.
func TestClients(t *testing.T) {
	for name, open := range map[string]func(*door) publisher{
		"paho 3.1.1":      func(d *door) publisher { return d.paho3("gateway") },
		"paho 5":          func(d *door) publisher { return d.paho5("gateway") },
		"mosquitto 3.1.1": func(d *door) publisher { return d.mosquitto("mqttv311") },
		"mosquitto 5":     func(d *door) publisher { return d.mosquitto("mqttv5") },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, setting{})
			publish := open(d)
			before := time.Now().UnixMilli()
			for _, m := range []struct {
				topic, payload   string
				qos              byte
				readings, events int // that there are then
			}{
				{"ff/v1/acme/temp", "21.5", 0, 1, 0},
				{"ff/v1/acme/temp", "-3e1", 1, 2, 0},
				{"ff/v1/" + d.acme.id.String() + "/temp", `{"value":22.5,"quality":"uncertain","seq":7}`, 1, 3, 0},
				{"ff/v1/acme/temp", fmt.Sprintf(`[{"ts":%d,"value":23,"seq":8},{"ts":%d,"value":24,"seq":9}]`, before-2000, before-1000), 1, 5, 0},
				{"ff/v1/acme/lines/bottling", `{"type":"state","state":"HELD","reason":"jam"}`, 1, 5, 1},
				{"ff/v1/acme/lines/bottling", `[{"type":"count","good":5},{"type":"count","good":6,"scrap":1}]`, 0, 5, 3},
			} {
				if err := publish(m.topic, m.qos, m.payload); err != nil {
					t.Fatalf("%s at QoS %d: %v", m.payload, m.qos, err)
				}
				// The command line client takes a connection for each message, and one at
				// QoS 0 waits for no answer: the next would overtake it.
				eventually(t, fmt.Sprintf("%d readings and %d events", m.readings, m.events), func() bool {
					return len(d.readings()) == m.readings && len(d.events()) == m.events
				})
			}
			var values []float64
			for _, r := range d.readings() {
				values = append(values, r.Value)
				if r.Tenant != d.acme.id || r.Value < 23 && (r.TS < before || r.TS > time.Now().UnixMilli()) {
					t.Errorf("%+v", r)
				}
			}
			if want := []float64{21.5, -30, 22.5, 23, 24}; !slices.Equal(values, want) {
				t.Errorf("%v, want %v, in this order", values, want)
			}
			if e := d.events()[0]; e.Type != plant.EventState || e.Reason != "jam" || e.State != plant.StateHeld {
				t.Errorf("%+v", e)
			}
			if n := d.metric("foodflow_mqttin_messages_total"); n != 6 {
				t.Errorf("%v messages are counted", n)
			}
		})
	}
}
