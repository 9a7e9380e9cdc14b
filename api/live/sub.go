package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/plant"
)

// Filter is what a listener wants to hear.
type Filter struct {
	Kinds map[string]bool
	// Without are the kinds of things whose events the listener may not hear.
	Without []string
	// Line narrows to what concerns one line; zero: all.
	Line plant.ID
	// Sensors maps the sensors whose readings are wanted to the Kafka key of
	// their readings.
	Sensors map[plant.ID]plant.ID
	// Sample is the shortest time between two readings of one sensor.
	Sample time.Duration
}

// Sub is one listener.
type Sub struct {
	h      *Hub
	tenant plant.ID
	filter Filter
	queue  chan Message // the hub sends; never closed
	gone   chan struct{}
	why    error // set before gone is closed
	start  broker.Position
	// sampled is when a reading of a sensor was handed on last; h.mu guards it.
	sampled map[plant.ID]time.Time
}

// wants says whether a message is for this listener; it notes the reading it
// lets through, and for readings h.mu is held.
func (s *Sub) wants(m *Message) bool {
	if m.tenant != s.tenant || !s.filter.Kinds[m.Kind] || slices.Contains(s.filter.Without, m.aggregate) {
		return false
	}
	if m.Kind != KindReading {
		return s.filter.Line.IsZero() || m.line == s.filter.Line
	}
	if _, chosen := s.filter.Sensors[m.sensor]; !chosen {
		return false
	}
	now := time.Now()
	if now.Sub(s.sampled[m.sensor]) < s.filter.Sample {
		return false
	}
	s.sampled[m.sensor] = now
	return true
}

// Messages gives what comes.
func (s *Sub) Messages() <-chan Message { return s.queue }

// Gone is closed when the hub has ended the listener; Why says for what reason.
func (s *Sub) Gone() <-chan struct{} { return s.gone }

// Why is valid once Gone is closed.
func (s *Sub) Why() error { return s.why }

// Start is the id of the position at which the listener was added, "" while that
// is not known.
func (s *Sub) Start() string {
	if s.start == nil {
		return ""
	}
	return formatID(s.start)
}

// Leave ends the listener.
func (s *Sub) Leave() { s.End(errLeft) }

// End ends the listener for a reason.
func (s *Sub) End(why error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.end(s, why)
}

// Resume sends what has happened between the message with an id and the
// listener's start; false when that can't be had whole, and then nothing was
// sent. What comes after it is in Messages.
func (s *Sub) Resume(ctx context.Context, id string, send func(Message) error) (bool, error) {
	from, ok := parseID(id)
	if !ok || s.start == nil {
		return false, nil
	}
	select {
	case s.h.replays <- struct{}{}:
		defer func() { <-s.h.replays }()
	default:
		return false, nil // too many at once: the client is told to read anew
	}
	at := from.Clone()
	err := broker.ReadRange(ctx, s.h.kafka, from, s.start, s.h.cfg.Replay, func(e *broker.Entry) error {
		at[e.Topic][e.Partition] = e.Offset + 1
		d, err := decode(s.h.dec, s.h.dir, e)
		if err != nil {
			s.h.m.unread.Inc()
			return nil //nolint:nilerr // counted: the processors have put it on the dead-letter topic
		}
		if !s.wants(&d.Message) || !d.finish() {
			return nil
		}
		d.ID = formatID(at)
		return send(d.Message)
	})
	if errors.Is(err, broker.ErrGap) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("resuming a listener: %w", err)
	}
	return true, nil
}
