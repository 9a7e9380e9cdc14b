package mqttin

import (
	"errors"
	"math"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/intake"
)

// login is who is at the other end of a socket.
type login struct {
	who     directory.Principal
	cl      *mqtt.Client
	version byte // of the protocol: 4 or 5
	queue   *queue
	meter   *intake.Meter
	tenant  string // as the topics of this client name it, once one was right

	session time.Duration // how long it is kept when the client goes
	resumed bool          // was found
}

// errRefused ends mochi's handling of a CONNECT that has been answered.
var errRefused = errors.New("the log-in was refused")

// OnConnect takes an API key as password or user name, before mochi's own step
// for it: that one knows a single answer.
func (h *hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return errRefused
	}
	refuse := func(code packets.Code, outcome string) error {
		h.s.m.logins.WithLabelValues(outcome).Inc()
		_ = h.s.broker.SendConnack(cl, code, false, nil) // it may be gone
		return errRefused
	}
	if pk.Properties.AuthenticationMethod != "" {
		return refuse(packets.ErrBadAuthenticationMethod, loginRefused)
	}
	key := string(pk.Connect.Password)
	if key == "" {
		key = string(pk.Connect.Username)
	}
	who, err := h.s.svc.Authenticate(key)
	if err != nil {
		return refuse(packets.ErrBadUsernameOrPassword, loginRefused)
	}
	l := &login{who: who, cl: cl, version: cl.Properties.ProtocolVersion, queue: newQueue(h.s.cfg.InFlight)}
	if !h.s.enter(c, l) {
		if l.version < 5 {
			return refuse(packets.ErrServerUnavailable, loginBusy)
		}
		return refuse(packets.ErrQuotaExceeded, loginBusy)
	}
	h.s.m.logins.WithLabelValues(loginAccepted).Inc()
	// One tenant can't take over another's session.
	cl.ID = who.Tenant.String() + "/" + cl.ID
	h.s.resume(c, l, pk)
	limitKeepAlive(cl, h.s.cfg.KeepAlive)
	return nil
}

// limitKeepAlive keeps a silence bounded where the client can be told. One of
// MQTT 3.1.1 that asks for none is left to TCP's own probes; mochi's one and a
// half times the longest would pass the end of its numbers.
func limitKeepAlive(cl *mqtt.Client, most time.Duration) {
	seconds := uint16(most.Seconds())
	if cl.Properties.ProtocolVersion >= 5 && (cl.State.Keepalive == 0 || cl.State.Keepalive > seconds) {
		cl.State.Keepalive, cl.State.ServerKeepalive = seconds, true
	}
	cl.State.Keepalive = min(cl.State.Keepalive, math.MaxUint16*2/3)
}

// OnConnectAuthenticate lets in whom OnConnect did.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, _ packets.Packet) bool {
	c, ok := cl.Net.Conn.(*conn)
	return ok && c.login.Load() != nil
}

// bridgeBit is what mosquitto sets in the version to say that it is a bridge.
const bridgeBit = 0x80

// plain makes a CONNECT what an ordinary publisher's is: the will goes, since
// nobody could receive it, mochi would refuse some, and keeps delayed ones for as
// long as the client says.
func plain(pk packets.Packet) packets.Packet {
	pk.ProtocolVersion &^= bridgeBit
	c := &pk.Connect
	c.WillFlag, c.WillRetain, c.WillQos, c.WillTopic, c.WillPayload = false, false, 0, "", nil
	return pk
}

// OnPacketEncode says in CONNACK what mochi leaves out, and to MQTT 3.1.1 nothing
// that it has no number for.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type != packets.Connack {
		return pk
	}
	if pk.ReasonCode != packets.CodeSuccess.Code {
		if cl.Properties.ProtocolVersion != 5 {
			pk.ReasonCode = returnCode(pk.ReasonCode)
		}
		return pk
	}
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return pk
	}
	l := c.login.Load()
	pk.SessionPresent = l.resumed
	p := &pk.Properties
	p.SessionExpiryInterval, p.SessionExpiryIntervalFlag = uint32(l.session.Seconds()), true
	p.MaximumPacketSize, p.TopicAliasMaximum = h.s.cfg.MaxPacket, h.s.cfg.Aliases
	p.WildcardSubAvailableFlag, p.SubIDAvailableFlag, p.SharedSubAvailableFlag = true, true, true
	return pk
}

// returnCode is the CONNACK of MQTT 3.1.1 for a reason code: it has five.
func returnCode(reason byte) byte {
	switch reason {
	case packets.ErrUnspecifiedError.Code, packets.ErrClientIdentifierNotValid.Code:
		return packets.Err3ClientIdentifierNotValid.Code // a session that is to be kept needs an id
	case packets.ErrProtocolViolation.Code, packets.ErrUnsupportedProtocolVersion.Code:
		return packets.Err3UnsupportedProtocolVersion.Code
	}
	if reason < packets.ErrUnspecifiedError.Code {
		return reason
	}
	return packets.Err3ServerUnavailable.Code
}
