package mqttin_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	packets5 "github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/foodflow/foodflow/internal/directory"
)

// noise is the work of a noisy tenant: clients of both versions that publish as
// fast as they are let. It gives what was acknowledged with success.
func noise(d *door, stop <-chan struct{}) *atomic.Int64 {
	var taken atomic.Int64
	for i := range 2 {
		w3, _ := d.wire3(func(p *packets.ConnectPacket) { p.ClientIdentifier = fmt.Sprint("three ", i) })
		w5, _ := d.wire5(func(p *packets5.Connect) { p.ClientID = fmt.Sprint("five ", i) })
		send := func(publish func(id uint16) error) {
			for id := uint16(1); ; id = max(1, id+1) {
				select {
				case <-stop:
					return
				default:
				}
				if publish(id) != nil {
					return
				}
			}
		}
		go send(func(id uint16) error {
			p, _ := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			p.MessageID, p.Qos, p.TopicName, p.Payload = id, 1, "ff/v1/acme/temp", []byte("1")
			return p.Write(w3)
		})
		go send(func(id uint16) error {
			_, err := (&packets5.Publish{PacketID: id, QoS: 1, Topic: "ff/v1/acme/temp", Payload: []byte("1"), Properties: &packets5.Properties{}}).WriteTo(w5)
			return err
		})
		go func() {
			for {
				if _, err := packets.ReadPacket(w3); err != nil {
					return
				}
				taken.Add(1)
			}
		}()
		go func() {
			for {
				p, err := packets5.ReadPacket(w5)
				if err != nil {
					return
				}
				if ack, ok := p.Content.(*packets5.Puback); ok && ack.ReasonCode == 0 {
					taken.Add(1)
				}
			}
		}()
	}
	return &taken
}

// beside publishes one message after the other for another tenant, and gives how
// long the PUBACKs took.
func beside(t *testing.T, d *door, n int) []time.Duration {
	t.Helper()
	w, _ := d.wire5(func(p *packets5.Connect) { p.ClientID, p.Password = "rival", []byte(d.rival.secret) })
	var took []time.Duration
	for i := range n {
		began := time.Now()
		w.publish(uint16(i+1), 1, "ff/v1/rival/temp", "1")
		if ack := w.puback(); ack.ReasonCode != 0 {
			t.Fatalf("the other tenant is refused with %#x", ack.ReasonCode)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took
}

// TestNoisyTenantOverMQTT (P24): a tenant that sends at many times its quota gets
// its quota, and another tenant's messages are all taken. The control has no
// quota, and takes much more.
func TestNoisyTenantOverMQTT(t *testing.T) {
	const perSecond, n = 50, 10
	// enough says when what was taken shows something.
	rate := func(quota float64, enough func(taken, allowed float64) bool) (taken, allowed float64) {
		d := newDoor(t, setting{})
		d.apply(directory.Tenant{ID: d.acme.id, Key: "acme", Quota: directory.Quota{ItemsPerSecond: quota}})
		stop := make(chan struct{})
		began := time.Now()
		count := noise(d, stop)
		var once sync.Once
		end := func() { once.Do(func() { close(stop) }) }
		defer end()
		took := beside(t, d, n)
		eventually(t, "the noise is well under way", func() bool {
			taken, allowed = float64(count.Load()), perSecond*(5+time.Since(began).Seconds()) // five seconds' worth at once
			return enough(taken, allowed)
		})
		end()
		t.Logf("quota %v a second: %.0f messages of the noisy tenant in %v; the other's %d took p50 %v, at most %v", quota, taken, time.Since(began).Round(time.Millisecond), n, took[n/2].Round(time.Microsecond), took[n-1].Round(time.Microsecond))
		return taken, allowed
	}
	if taken, allowed := rate(perSecond, func(taken, _ float64) bool { return taken >= 5*perSecond }); taken > allowed+1 {
		t.Errorf("%v taken, %v allowed", taken, allowed)
	}
	rate(0, func(taken, allowed float64) bool { return taken >= 2*allowed }) // the control
}
