package mqttin

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// maxReason bounds the words of a refusal.
const maxReason = 300

// refuse words what is wrong with a message: to the client that can be told, in
// a dead letter for any other.
func (c *conn) refuse(l *login, m *message, pk *packets.Packet, cause error) {
	code, reason := packets.ErrPayloadFormatInvalid, refusedPayload
	if unknownName(cause) {
		code, reason = packets.ErrTopicNameInvalid, refusedName
	}
	c.s.m.refused.WithLabelValues(reason).Inc()
	words := cause.Error()
	if len(words) > maxReason {
		words = strings.ToValidUTF8(words[:maxReason], "")
	}
	if l.version >= 5 && m.qos > 0 {
		m.code = code
		m.code.Reason = words
		return
	}
	// Not the whole packet's buffer, which it would keep.
	payload := append([]byte{}, pk.Payload...)
	now := time.Now().UnixMilli()
	g := c.group(l)
	g.letters = append(g.letters, &schemas.DeadLetter{
		ID: plant.NewID(), Topic: letterPrefix + pk.TopicName, Partition: -1, Offset: -1, TS: now,
		Value: &payload, Reason: "ingest", Detail: words, FailedAt: now,
	})
}

// unknownName reports whether the topic names no sensor or line of the tenant.
func unknownName(err error) bool {
	var e *fault.Error
	if !errors.As(err, &e) || len(e.Items) == 0 {
		return false
	}
	for _, it := range e.Items {
		if it.Rule != "unknown" || !strings.HasSuffix(it.Location, ".sensor") && !strings.HasSuffix(it.Location, ".line") {
			return false
		}
	}
	return true
}

// forbid refuses a message to a topic that is not the client's to write. Only
// MQTT 5 at QoS 1 has an answer for it; any other client would take silence for
// success, so its connection ends, once what came before is answered.
func (c *conn) forbid(l *login, m message, pk *packets.Packet) {
	c.s.m.refused.WithLabelValues(refusedRights).Inc()
	if l.version >= 5 && m.qos > 0 {
		m.code = packets.ErrNotAuthorized
		m.code.Reason = "the topic is not one of this API key's tenant: ff/v1/{tenant}/{sensor} or ff/v1/{tenant}/lines/{line}"
		c.add(m, 0)
		return
	}
	c.s.m.closed.WithLabelValues(closedRights).Inc()
	_ = c.leave(packets.ErrNotAuthorized)
}

// letterTime bounds the way of a dead letter to Kafka.
const letterTime = 30 * time.Second

// bury publishes a dead letter and calls done once Kafka has it.
func (s *Server) bury(letter *schemas.DeadLetter, done func(error)) {
	s.letters.Add(1)
	go func() {
		defer s.letters.Done()
		ctx, cancel := context.WithTimeout(context.Background(), letterTime)
		defer cancel()
		err := s.dead.DeadLetter(ctx, letter)
		if err == nil {
			s.m.letters.Inc()
		}
		done(err)
	}()
}
