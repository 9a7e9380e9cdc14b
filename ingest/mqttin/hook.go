package mqttin

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// prefix begins every topic.
const prefix = "ff/v1/"

// hook joins the MQTT broker to ingest.
type hook struct {
	mqtt.HookBase
	cfg    Config
	svc    *ingest.Service
	dead   DeadLetters
	logger *slog.Logger
	m      *metrics

	mu      sync.Mutex // guards clients
	clients map[*mqtt.Client]*client
}

// client is a connection that logged in.
type client struct {
	who directory.Principal
	// acks are the messages that wait for Kafka, in order of receipt. The
	// reading goroutine sends and closes, acknowledge receives.
	acks chan pending
}

// pending is a message between receipt and acknowledgement.
type pending struct {
	id     uint16 // packet id, 0 for QoS 0
	code   packets.Code
	result chan error // receives once, when Kafka answered
}

func newHook(cfg Config, svc *ingest.Service, dead DeadLetters, logger *slog.Logger, m *metrics) *hook {
	return &hook{cfg: cfg, svc: svc, dead: dead, logger: logger, m: m, clients: map[*mqtt.Client]*client{}}
}

// ID names the hook.
func (h *hook) ID() string { return "foodflow" }

// Provides lists what the hook takes part in.
func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPublish, mqtt.OnDisconnect, mqtt.OnWill:
		return true
	}
	return false
}

// OnConnectAuthenticate takes an API key as password or user name.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	key := string(pk.Connect.Password)
	if key == "" {
		key = string(pk.Connect.Username)
	}
	who, err := h.svc.Authenticate(key)
	if err != nil {
		h.m.logins.WithLabelValues("refused").Inc()
		return false
	}
	h.m.logins.WithLabelValues("accepted").Inc()
	cl.ID = who.Tenant.String() + "/" + cl.ID
	c := &client{who: who, acks: make(chan pending, h.cfg.InFlight)}
	h.mu.Lock()
	h.clients[cl] = c
	h.mu.Unlock()
	go h.acknowledge(cl, c)
	return true
}

// OnDisconnect forgets the client.
func (h *hook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) {
	h.mu.Lock()
	c := h.clients[cl]
	delete(h.clients, cl)
	h.mu.Unlock()
	if c != nil {
		close(c.acks)
	}
}

func (h *hook) client(cl *mqtt.Client) *client {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clients[cl]
}

// OnACLCheck lets a client write to its own tenant's topics and read nothing.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	c := h.client(cl)
	if c == nil || !write {
		return false
	}
	_, _, ok := h.place(c.who.Tenant, topic)
	return ok
}

// OnWill publishes no wills: nobody could receive one.
func (h *hook) OnWill(*mqtt.Client, mqtt.Will) (mqtt.Will, error) {
	return mqtt.Will{}, errors.New("wills are not published")
}

// place finds out what a topic of tenant names.
func (h *hook) place(tenant plant.ID, topic string) (kind ingest.Kind, name string, ok bool) {
	rest, ok := strings.CutPrefix(topic, prefix)
	if !ok {
		return 0, "", false
	}
	who, name, ok := strings.Cut(rest, "/")
	if !ok || name == "" {
		return 0, "", false
	}
	if id, ok := h.svc.TenantByKey(who); !ok || id != tenant {
		return 0, "", false
	}
	if line, ok := strings.CutPrefix(name, "lines/"); ok {
		return ingest.Events, line, line != ""
	}
	return ingest.Readings, name, true
}

// OnPublish reads a message and hands it to Kafka. It always rejects the packet
// to mochi: see the package's note.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := h.client(cl)
	if c == nil {
		return pk, packets.ErrRejectPacket
	}
	kind, name, ok := h.place(c.who.Tenant, pk.TopicName)
	if !ok {
		return pk, packets.ErrRejectPacket // the rights were checked before
	}
	p := pending{code: packets.CodeSuccess, result: make(chan error, 1)}
	if pk.FixedHeader.Qos > 0 {
		p.id = pk.PacketID
	}
	b := h.svc.Begin(c.who.Tenant, kind)
	err := b.ReadMessage(kind, []byte(name), pk.Payload)
	if err == nil {
		err = b.Err()
	}
	if err != nil {
		h.svc.Refused(kind, b)
		h.svc.End(b)
		h.refuse(cl, &p, &pk, err)
	} else {
		h.svc.PublishLater(context.Background(), kind, b, func(err error) {
			h.svc.End(b)
			p.result <- err
		})
	}
	// A full queue stops the reading of this client's socket. OnDisconnect comes
	// from this same goroutine, so the channel is open.
	c.acks <- p
	return pk, packets.ErrRejectPacket
}

// refuse tells the client that can be told, and keeps the message of any other
// as a dead letter.
func (h *hook) refuse(cl *mqtt.Client, p *pending, pk *packets.Packet, cause error) {
	h.m.refused.Inc()
	if cl.Properties.ProtocolVersion >= 5 && p.id != 0 {
		p.code = packets.ErrPayloadFormatInvalid
		p.code.Reason = cause.Error()
		p.result <- nil
		return
	}
	payload := append([]byte(nil), pk.Payload...)
	letter := &schemas.DeadLetter{
		ID: plant.NewID(), Topic: "mqtt:" + pk.TopicName, Partition: -1, Offset: -1, TS: time.Now().UnixMilli(),
		Value: &payload, Reason: "ingest", Detail: cause.Error(), FailedAt: time.Now().UnixMilli(),
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		p.result <- h.dead.DeadLetter(ctx, letter)
	}()
}

// acknowledge answers the client's messages in order of receipt, each after
// Kafka did. After the first one that Kafka didn't take, the client is
// disconnected and no later one is answered: it sends them all again.
func (h *hook) acknowledge(cl *mqtt.Client, c *client) {
	failed := false
	for p := range c.acks {
		err := <-p.result
		if failed {
			continue
		}
		if err != nil {
			failed = true
			h.m.unacknowledged.Inc()
			h.logger.Debug("message not acknowledged", "error", err)
			cl.Stop(packets.ErrServerUnavailable)
			continue
		}
		if p.id == 0 {
			continue
		}
		ack := packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: p.id, ReasonCode: p.code.Code, Created: time.Now().Unix(),
		}
		if p.code.Code >= packets.ErrUnspecifiedError.Code {
			ack.Properties.ReasonString = p.code.Reason
		}
		if err := cl.WritePacket(ack); err != nil {
			failed = true // the client is gone
		}
	}
}
