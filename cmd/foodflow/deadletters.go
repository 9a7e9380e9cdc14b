package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// deadlettersCmd looks at what could not be processed, and gives it another
// chance once the cause is mended.
type deadlettersCmd struct {
	List   deadlettersList   `cmd:"" help:"Print the dead letters, oldest first."`
	Replay deadlettersReplay `cmd:"" help:"Publish dead letters to the topic they came from again; messages of MQTT go through the door's rules again."`
}

// letterFlags choose letters.
type letterFlags struct {
	Kafka    kafkaFlags    `embed:"" prefix:"kafka-"`
	Registry registryFlags `embed:"" prefix:"registry-"`
	Reason   string        `help:"Only those of this reason: frame, unknown_schema, body, late, ingest."`
	ID       []string      `help:"Only these." name:"id" placeholder:"ID"`
}

// Check names what is wrong with the configuration.
func (f letterFlags) Check() error {
	return errors.Join(f.Kafka.config().Validate(), f.Registry.config().Validate())
}

// each calls fn with every chosen letter once: a crash can have written copies.
func (f letterFlags) each(e *env, fn func(*schemas.DeadLetter) error) error {
	kafka := f.Kafka.config()
	codec, err := newRole(e, "deadletters", "").codec(e.ctx, f.Registry, "")
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, id := range f.ID {
		wanted[strings.ToLower(id)] = true
	}
	seen := map[plant.ID]bool{}
	return broker.ReadTopic(e.ctx, kafka, broker.TopicDeadLetters, func(_ int32, _ int64, value []byte) error {
		var d schemas.DeadLetter
		if err := codec.DecodeDeadLetter(value, &d); err != nil {
			return fmt.Errorf("reading dead letters: %w", err)
		}
		if seen[d.ID] || f.Reason != "" && d.Reason != f.Reason || len(wanted) > 0 && !wanted[d.ID.String()] {
			return nil
		}
		seen[d.ID] = true
		return fn(&d)
	})
}

type deadlettersList struct {
	letterFlags
	JSON bool `help:"One JSON object a line, with key and value in base64." name:"json"`
}

// Run prints the letters.
func (c *deadlettersList) Run(e *env) error {
	if c.JSON {
		out := json.NewEncoder(e.out)
		return c.each(e, func(d *schemas.DeadLetter) error { return out.Encode(d) })
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTIME\tREASON\tFROM\tBYTES\tDETAIL")
	err := c.each(e, func(d *schemas.DeadLetter) error {
		size := 0
		if d.Value != nil {
			size = len(*d.Value)
		}
		_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s/%d@%d\t%d\t%s\n", d.ID, time.UnixMilli(d.TS).UTC().Format(time.RFC3339), d.Reason, d.Topic, d.Partition, d.Offset, size, d.Detail)
		return err
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

type deadlettersReplay struct {
	letterFlags
	All bool `help:"Replay every letter that the other flags choose; without --id this is required."`
}

// Run publishes the chosen letters again. One that still can't be processed
// becomes a new letter.
func (c *deadlettersReplay) Run(e *env) error {
	if len(c.ID) == 0 && !c.All {
		return fmt.Errorf("say which letters: --id, or --all")
	}
	cl, err := broker.Client(c.Kafka.config())
	if err != nil {
		return err
	}
	defer cl.Close()
	producer := broker.NewProducer(cl)
	door := &mqttAgain{letterFlags: c.letterFlags}
	sent, kept := 0, 0
	err = c.each(e, func(d *schemas.DeadLetter) error {
		if mqttin.IsLetter(d) {
			taken, err := door.take(e, d)
			if taken {
				sent++
			} else if err == nil {
				kept++
			}
			return err
		}
		if d.Partition < 0 || d.Value == nil {
			kept++ // there is no topic to go back to
			return nil
		}
		m := broker.Message{Topic: d.Topic, Value: *d.Value}
		if d.Key != nil {
			m.Key = *d.Key
		}
		ctx, cancel := context.WithTimeout(e.ctx, 30*time.Second)
		defer cancel()
		sent++
		return producer.Publish(ctx, []broker.Message{m})
	})
	if err := errors.Join(err, door.close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "%d replayed, %d kept: refused again, or without a topic to go back to\n", sent, kept)
	return err
}
