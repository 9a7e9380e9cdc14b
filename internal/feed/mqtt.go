package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"golang.org/x/sync/errgroup"
)

// MQTTConfig says where and as whom to publish.
type MQTTConfig struct {
	Addr   string // host:port
	Tenant string // key or id, as topics name it
	// ClientID names the gateway; a second one of the same id takes its place.
	ClientID string
	// Retry holds the key, the time of one attempt, and the pauses between two.
	Retry Config
}

// Validate names every fault at once.
func (c MQTTConfig) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		errs = append(errs, fmt.Errorf("mqtt.addr: %q is not host:port", c.Addr))
	}
	if c.Tenant == "" || c.ClientID == "" {
		errs = append(errs, errors.New("mqtt: tenant and client id must not be empty"))
	}
	retry := c.Retry
	retry.URL = "http://mqtt" // has none
	return errors.Join(append(errs, retry.Validate())...)
}

// MQTT publishes at QoS 1: one message for each sensor or line, in which its
// readings or events keep their order.
type MQTT struct {
	cfg    MQTTConfig
	logger *slog.Logger

	mu     sync.Mutex // guards client
	client *paho.Client
}

// NewMQTT makes a client; it connects on first use.
func NewMQTT(cfg MQTTConfig, logger *slog.Logger) (*MQTT, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &MQTT{cfg: cfg, logger: logger}, nil
}

// Close says good-bye.
func (m *MQTT) Close() { m.drop() }

// message is what is published under one topic, and its answer.
type message struct {
	topic   string
	payload []byte
	done    bool
	err     error
}

// messages collects payloads by topic, in order of first appearance.
type messages struct {
	list []*message
	by   map[string]*message
}

// under gives the message of a topic, ready for one more item.
func (ms *messages) under(topic string) *message {
	if ms.by == nil {
		ms.by = map[string]*message{}
	}
	x := ms.by[topic]
	if x == nil {
		x = &message{topic: topic, payload: []byte("[")}
		ms.by[topic] = x
		ms.list = append(ms.list, x)
	} else {
		x.payload = append(x.payload, ',')
	}
	x.payload = append(x.payload, '{')
	return x
}

// Readings publishes readings and returns once they are acknowledged.
func (m *MQTT) Readings(ctx context.Context, readings []Reading) error {
	var ms messages
	for i := range readings {
		x := ms.under("ff/v1/" + m.cfg.Tenant + "/" + readings[i].Sensor)
		x.payload = readings[i].appendRest(x.payload)
	}
	return m.deliver(ctx, ms.list)
}

// Events publishes line events and returns once they are acknowledged.
func (m *MQTT) Events(ctx context.Context, events []Event) error {
	var ms messages
	for i := range events {
		x := ms.under("ff/v1/" + m.cfg.Tenant + "/lines/" + events[i].Line)
		x.payload = events[i].appendRest(x.payload)
	}
	return m.deliver(ctx, ms.list)
}

// deliver publishes until every message has its PUBACK.
func (m *MQTT) deliver(ctx context.Context, list []*message) error {
	for _, x := range list {
		x.payload = append(x.payload, ']')
	}
	return m.cfg.Retry.insist(ctx, m.logger, func() (time.Duration, error) { return 0, m.attempt(ctx, list) })
}

// flight is how many messages are on their way at once.
const flight = 16

// attempt publishes what has no PUBACK yet, once.
func (m *MQTT) attempt(ctx context.Context, list []*message) error {
	c, err := m.connected(ctx)
	if err != nil {
		return err
	}
	own, cancel := context.WithTimeout(ctx, m.cfg.Retry.Timeout)
	defer cancel()
	go func() { // no answer comes by a connection that is gone
		select {
		case <-c.Done():
			cancel()
		case <-own.Done():
		}
	}()
	var group errgroup.Group
	group.SetLimit(flight)
	for _, x := range list {
		if !x.done {
			group.Go(func() error { x.publish(own, c); return nil })
		}
	}
	_ = group.Wait() // the messages hold their errors
	var first error
	for _, x := range list {
		var refused *Refused
		switch {
		case x.done:
		case errors.As(x.err, &refused):
			return x.err
		case first == nil:
			first = x.err
		}
	}
	if first != nil {
		m.drop()
	}
	return first
}

// quotaExceeded is the reason code that asks to come back later; from failure on
// a code is no success.
const (
	failure       = 0x80
	quotaExceeded = 0x97
)

// publish sends the message and waits for its PUBACK.
func (x *message) publish(ctx context.Context, c *paho.Client) {
	r, err := c.Publish(ctx, &paho.Publish{QoS: 1, Topic: x.topic, Payload: x.payload})
	switch {
	case r != nil && r.ReasonCode >= failure && r.ReasonCode != quotaExceeded:
		x.err = &Refused{Status: int(r.ReasonCode), Detail: x.topic + ": " + reasonOf(r)}
	case err != nil:
		x.err = fmt.Errorf("publishing: %w", err)
	default:
		x.done, x.err = true, nil
	}
}

func reasonOf(r *paho.PublishResponse) string {
	if r.Properties == nil || r.Properties.ReasonString == "" {
		return "without words"
	}
	return r.Properties.ReasonString
}

// connected gives the open connection, or opens one.
func (m *MQTT) connected(ctx context.Context) (*paho.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client != nil {
		select {
		case <-m.client.Done():
		default:
			return m.client, nil
		}
	}
	own, cancel := context.WithTimeout(ctx, m.cfg.Retry.Timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(own, "tcp", m.cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	c := paho.NewClient(paho.ClientConfig{Conn: conn, PacketTimeout: m.cfg.Retry.Timeout})
	ack, err := c.Connect(own, &paho.Connect{
		ClientID: m.cfg.ClientID, CleanStart: true, KeepAlive: 30,
		UsernameFlag: true, Username: "key", PasswordFlag: true, Password: []byte(m.cfg.Retry.APIKey),
	})
	if err != nil {
		conn.Close()
		// These say that this client won't ever come in.
		if ack != nil && (ack.ReasonCode == 0x86 || ack.ReasonCode == 0x87 || ack.ReasonCode == 0x8C) {
			return nil, &Refused{Status: int(ack.ReasonCode), Detail: "the log-in is refused"}
		}
		return nil, fmt.Errorf("logging in: %w", err)
	}
	m.client = c
	return c, nil
}

// drop ends the connection; the next attempt opens another.
func (m *MQTT) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client != nil {
		_ = m.client.Disconnect(&paho.Disconnect{}) // it may be gone
		m.client = nil
	}
}
