package bench

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/ingest/kafkaout"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// bareHook is what someone would write first: mochi's hook, encoding/json, and
// the producer, with the acknowledgement where it belongs.
type bareHook struct {
	mqtt.HookBase
	cl    *kgo.Client
	codec *schemas.Codec
	line  plant.ID
}

// bareSocket is where the state of a client lives: what waits for Kafka, in
// order of receipt. The reading goroutine sends and closes.
type bareSocket struct {
	net.Conn
	acks chan barePending
}

type barePending struct {
	id   uint16
	left int
	done chan error
}

func (h *bareHook) ID() string { return "bare" }

func (h *bareHook) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck || b == mqtt.OnPublish || b == mqtt.OnDisconnect
}

func (h *bareHook) OnConnectAuthenticate(cl *mqtt.Client, _ packets.Packet) bool {
	s := &bareSocket{cl.Net.Conn, make(chan barePending, 1000)}
	cl.Net.Conn = s
	go func() {
		for p := range s.acks {
			for range p.left {
				if <-p.done != nil {
					cl.Stop(packets.ErrServerBusy)
					return
				}
			}
			ack := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: p.id}
			if cl.WritePacket(ack) != nil {
				return
			}
		}
	}()
	return true
}

func (h *bareHook) OnACLCheck(*mqtt.Client, string, bool) bool { return true }

func (h *bareHook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) {
	if s, ok := cl.Net.Conn.(*bareSocket); ok {
		close(s.acks)
	}
}

func (h *bareHook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	type reading struct {
		TS    int64   `json:"ts"`
		Value float64 `json:"value"`
		Seq   int64   `json:"seq"`
	}
	var readings []reading
	if len(pk.Payload) > 0 && pk.Payload[0] == '[' {
		if err := json.Unmarshal(pk.Payload, &readings); err != nil {
			return pk, packets.ErrRejectPacket
		}
	} else {
		readings = make([]reading, 1)
		if err := json.Unmarshal(pk.Payload, &readings[0]); err != nil {
			return pk, packets.ErrRejectPacket
		}
	}
	p := barePending{pk.PacketID, len(readings), make(chan error, len(readings))}
	for _, x := range readings {
		value := h.codec.AppendReading(nil, &plant.Reading{Line: h.line, TS: x.TS, Value: x.Value, Seq: x.Seq})
		h.cl.TryProduce(context.Background(), &kgo.Record{Topic: broker.TopicReadings, Key: h.line[:], Value: value}, func(_ *kgo.Record, err error) { p.done <- err })
	}
	if s, ok := cl.Net.Conn.(*bareSocket); ok {
		s.acks <- p
	}
	return pk, packets.ErrRejectPacket
}

// bareMQTT is the ceiling.
func bareMQTT(ctx context.Context, kafka broker.Config, c *schemas.Codec) (string, func(), error) {
	cfg := kafkaout.DefaultConfig()
	cl, err := broker.Client(kafka, kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordDeliveryTimeout(cfg.Delivery), kgo.ProducerLinger(cfg.Linger),
		kgo.MaxBufferedBytes(cfg.BufferedBytes), kgo.MaxBufferedRecords(2_000_000), kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()))
	if err != nil {
		return "", nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	caps := mqtt.NewDefaultServerCapabilities()
	caps.MaximumQos = 1
	b := mqtt.New(&mqtt.Options{Capabilities: caps, Logger: slog.New(slog.DiscardHandler), SysTopicResendInterval: int64(time.Hour / time.Second)})
	if err := b.AddHook(&bareHook{cl: cl, codec: c, line: plant.NewID()}, nil); err != nil {
		return "", nil, err
	}
	if err := b.AddListener(listeners.NewNet("bare", l)); err != nil {
		return "", nil, err
	}
	if err := b.Serve(); err != nil {
		return "", nil, err
	}
	return l.Addr().String(), func() { _ = b.Close(); cl.Close() }, nil
}
