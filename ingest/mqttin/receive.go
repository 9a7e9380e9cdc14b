package mqttin

import (
	"context"
	"errors"
	"strings"
	"time"
	"unsafe"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/telemetry"
)

// receive takes a PUBLISH in: to the group that is being collected, with a code
// that refuses it, or as a dead letter.
func (c *conn) receive(l *login, pk *packets.Packet) {
	m := message{qos: c.qos, code: packets.CodeSuccess}
	if m.qos > 0 {
		m.id = pk.PacketID
	}
	at, ok := parseTopic(pk.TopicName)
	if !ok || !c.own(l, at.tenant) {
		c.forbid(l, m, pk)
		return
	}
	if len(pk.Payload) == 0 && pk.FixedHeader.Retain {
		c.add(m, 0) // deletes what is retained; here nothing is
		return
	}
	for charged := false; ; {
		err := c.take(l, at, pk, &charged)
		pressed := fault.KindOf(err) == fault.RateLimited || fault.KindOf(err) == fault.Unavailable
		switch {
		case err == nil:
		case pressed && l.version >= 5 && m.qos > 0:
			c.s.m.refused.WithLabelValues(refusedPressure).Inc()
			m.code = packets.ErrQuotaExceeded
			m.code.Reason = err.Error()
			c.pressed = true
		case pressed:
			// Nobody else can be told: the socket is not read until it goes.
			c.flush()
			if !c.wait(err) {
				_ = c.leave(packets.ErrServerShuttingDown) // nothing behind this one may be taken
				return
			}
			continue
		default:
			c.refuse(l, &m, pk, err)
		}
		c.add(m, len(pk.Payload))
		return
	}
}

// own reports whether a topic's tenant is the client's.
func (c *conn) own(l *login, tenant string) bool {
	if tenant == l.tenant {
		return true
	}
	id, ok := c.s.svc.TenantByKey(tenant)
	if ok = ok && id == l.who.Tenant; ok {
		l.tenant = strings.Clone(tenant) // the topic is part of a packet
	}
	return ok
}

// take reads a message into the group, within quotas and the room for what is in
// flight. charged remembers between two tries that its bytes are paid for.
func (c *conn) take(l *login, at place, pk *packets.Packet, charged *bool) error {
	payload := pk.Payload
	g := c.group(l)
	limited := l.meter.Limited()
	if limited && !*charged {
		if err := l.meter.Admit(int64(len(payload))); err != nil {
			return err
		}
		*charged = true
	}
	if err := c.reserve(g, int64(len(payload))); err != nil {
		return err
	}
	b := g.batch(at.kind)
	keep := b.Len()
	// Views of the packet, which lives for as long as anything points to it.
	name := unsafe.Slice(unsafe.StringData(at.name), len(at.name))
	if err := b.AddMessage(at.kind, name, payload); err != nil {
		c.s.svc.Refused(at.kind, b)
		return err
	}
	if limited {
		if err := l.meter.Items(b.Items()); err != nil {
			b.Undo(keep)
			return err
		}
	}
	if c.s.cfg.Tracer != nil {
		c.trace(g, b, keep, at.kind, pk)
	}
	return nil
}

// trace begins the span of a message that was taken into a batch behind keep
// records, in the trace that an MQTT 5 client brought. It ends with the group.
func (c *conn) trace(g *group, b *ingest.Batch, keep int, kind ingest.Kind, pk *packets.Packet) {
	var parent, state string
	for i := range pk.Properties.User {
		switch p := &pk.Properties.User[i]; p.Key {
		case telemetry.HeaderName:
			parent = p.Val
		case telemetry.StateName:
			state = p.Val
		}
	}
	name := "PUBLISH ff/v1/{tenant}/{sensor}"
	if kind == ingest.Events {
		name = "PUBLISH ff/v1/{tenant}/lines/{line}"
	}
	span, headers := c.s.cfg.Tracer.Message(name, parent, state)
	b.Mark(keep, headers)
	if span.Recording() {
		span.Int("messaging.message.body.size", len(pk.Payload))
		g.spans = append(g.spans, span)
	}
}

// messageRoom is what a message holds beside its payload until it is answered.
const messageRoom = 256

// reserve takes room for a message, some messages' worth at a time. A large
// packet brings its own.
func (c *conn) reserve(g *group, payload int64) error {
	n := payload + messageRoom
	if g.spare < n && c.held > 0 {
		g.room, g.spare, c.held = g.room+c.held, g.spare+c.held, 0
	}
	if g.spare < n {
		more := max(n, readBuffer)
		if err := c.s.svc.Take(g.tenant, more); err != nil {
			return err
		}
		g.room, g.spare = g.room+more, g.spare+more
	}
	g.spare -= n
	return nil
}

// wait holds the socket back for as long as the refusal asks; false when it is
// over meanwhile.
func (c *conn) wait(err error) bool {
	pause := 20 * time.Millisecond
	var e *fault.Error
	if errors.As(err, &e) && e.Kind == fault.RateLimited {
		pause = min(max(e.RetryAfter, pause), time.Second)
	}
	return c.rest(pause)
}

// rest doesn't read the socket for a while; false when it is over meanwhile.
func (c *conn) rest(pause time.Duration) bool {
	began := time.Now()
	defer func() { c.s.m.held.Add(time.Since(began).Seconds()) }()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-c.closed:
		return false
	case <-timer.C:
		return !c.draining.Load()
	}
}

// group gives the group that is being collected.
func (c *conn) group(l *login) *group {
	if c.collected == nil {
		l.meter = c.s.svc.Meter(l.who) // quotas change
		c.s.svc.Using(l.who)
		c.collected = &group{svc: c.s.svc, tenant: l.who.Tenant, began: time.Now(), done: make(chan struct{})}
	}
	return c.collected
}

// add enters a message that has been read, or refused.
func (c *conn) add(m message, bytes int) {
	g := c.group(c.login.Load())
	g.messages = append(g.messages, m)
	if g.bytes += bytes; g.full() {
		c.flush()
	}
}

// flush hands the collected group over: to Kafka, and to who acknowledges.
func (c *conn) flush() {
	g := c.collected
	if g == nil {
		return
	}
	c.collected = nil
	if len(g.messages) == 0 {
		g.drop()
		return
	}
	for _, m := range g.messages {
		c.s.m.qos[m.qos].Inc()
	}
	// What came is published also when the client is gone meanwhile: at QoS 0
	// that is all there is.
	c.login.Load().queue.push(g)
	g.left.Store(1)
	for kind, b := range g.batches {
		if b == nil {
			continue
		}
		if b.Len() == 0 {
			c.s.svc.End(b)
			continue
		}
		g.left.Add(1)
		c.s.svc.PublishLater(context.Background(), ingest.Kind(kind), b, func(err error) {
			c.s.svc.End(b)
			g.one(err)
		})
	}
	for _, letter := range g.letters {
		g.left.Add(1)
		c.s.bury(letter, g.one)
	}
	g.one(nil)
}
