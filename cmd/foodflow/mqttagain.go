package main

import (
	"context"
	"fmt"
	"time"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/kafkaout"
	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/schemas"
)

// mqttAgain takes in again what the MQTT door could not take. What it needs for
// it, the directory and a producer, is opened with the first letter.
type mqttAgain struct {
	letterFlags
	role *role
	svc  *ingest.Service
}

// take reports whether a letter was taken. One that is refused again stays a
// letter, and the reason is logged.
func (m *mqttAgain) take(e *env, d *schemas.DeadLetter) (bool, error) {
	if m.svc == nil {
		if err := m.open(e); err != nil {
			return false, err
		}
	}
	ctx, cancel := context.WithTimeout(e.ctx, 30*time.Second)
	defer cancel()
	err := mqttin.Again(ctx, m.svc, d)
	switch fault.KindOf(err) {
	case fault.Invalid, fault.BadRequest, fault.NotFound, fault.TooLarge:
		e.logger.Warn("refused again", "dead_letter", d.ID, "topic", d.Topic, "error", err)
		return false, nil
	default:
		return err == nil, err
	}
}

func (m *mqttAgain) open(e *env) error {
	m.role = newRole(e, "deadletters", "")
	kafka := m.Kafka.config()
	codec, err := m.role.codec(e.ctx, m.Registry, "")
	if err != nil {
		return err
	}
	store, err := m.role.follow(e.ctx, kafka, codec)
	if err != nil {
		return err
	}
	out, err := kafkaout.New(kafka, kafkaout.DefaultConfig())
	if err != nil {
		return err
	}
	nothing := func(context.Context) error { return nil }
	if err := m.role.group.Start(e.ctx, "kafka producer", nothing, out.Close); err != nil {
		return err
	}
	m.svc, err = ingest.NewService(store, codec, out, ingest.DefaultLimits(), nil)
	return err
}

// close ends what was opened.
func (m *mqttAgain) close() error {
	if m.role == nil {
		return nil
	}
	if err := m.role.group.Stop(); err != nil {
		return fmt.Errorf("closing the door: %w", err)
	}
	return nil
}
