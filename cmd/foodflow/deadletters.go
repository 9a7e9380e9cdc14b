package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/letter"
	"github.com/foodflow/foodflow/schemas"
)

// deadlettersCmd looks at what could not be processed, and gives it another
// chance once the cause is mended.
type deadlettersCmd struct {
	List   deadlettersList   `cmd:"" help:"Print the dead letters that wait, oldest first."`
	Replay deadlettersReplay `cmd:"" help:"Publish dead letters to the topic they came from again, each once; messages of MQTT go through the door's rules again."`
}

// letterFlags choose letters.
type letterFlags struct {
	Kafka    kafkaFlags    `embed:"" prefix:"kafka-"`
	Registry registryFlags `embed:"" prefix:"registry-"`
	Reason   string        `help:"Only those of this reason: frame, unknown_schema, body, late, full, ingest."`
	ID       []string      `help:"Only these." name:"id" placeholder:"ID"`
}

// Check names what is wrong with the configuration.
func (f letterFlags) Check() error {
	return errors.Join(f.Kafka.config().Validate(), f.Registry.config().Validate())
}

// chosen says whether the flags choose a letter.
func (f letterFlags) chosen() func(*schemas.DeadLetter) bool {
	wanted := map[string]bool{}
	for _, id := range f.ID {
		wanted[strings.ToLower(id)] = true
	}
	return func(d *schemas.DeadLetter) bool {
		return (f.Reason == "" || d.Reason == f.Reason) && (len(wanted) == 0 || wanted[d.ID.String()])
	}
}

type deadlettersList struct {
	letterFlags
	WithReplayed bool `help:"Print those too that were replayed."`
	JSON         bool `help:"One JSON object a line, with key and value in base64." name:"json"`
}

// listed is a letter as JSON shows it.
type listed struct {
	*schemas.DeadLetter
	// State is waiting, claimed or replayed; StateAt is since when, null for one
	// that waits.
	State   string
	StateAt *time.Time
}

// Run prints the letters.
func (c *deadlettersList) Run(e *env) error {
	out := json.NewEncoder(e.out)
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	show := func(d *schemas.DeadLetter, f letter.Fate) error {
		size := 0
		if d.Value != nil {
			size = len(*d.Value)
		}
		_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s/%d@%d\t%d\t%s\n", d.ID, second(time.UnixMilli(d.TS)), state(f), d.Reason, d.Topic, d.Partition, d.Offset, size, d.Detail)
		return err
	}
	if c.JSON {
		show = func(d *schemas.DeadLetter, f letter.Fate) error {
			l := listed{DeadLetter: d, State: f.State}
			if at := f.At.UTC(); !f.At.IsZero() {
				l.StateAt = &at
			}
			return out.Encode(l)
		}
	} else {
		fmt.Fprintln(w, "ID\tTIME\tSTATE\tREASON\tFROM\tBYTES\tDETAIL")
	}
	return c.print(e, w, show)
}

func (c *deadlettersList) print(e *env, w *tabwriter.Writer, show func(*schemas.DeadLetter, letter.Fate) error) error {
	cl, err := broker.Client(c.Kafka.config())
	if err != nil {
		return err
	}
	defer cl.Close()
	codec, err := newRole(e, "deadletters", "").codec(e.ctx, c.Registry, "")
	if err != nil {
		return err
	}
	chosen, hidden := c.chosen(), 0
	err = letter.NewReader(broker.NewLog(c.Kafka.config(), cl), codec).Each(e.ctx, func(d *schemas.DeadLetter, f letter.Fate) error {
		if !chosen(d) {
			return nil
		}
		if f.State == letter.Replayed && !c.WithReplayed {
			hidden++
			return nil
		}
		return show(d, f)
	})
	if err != nil {
		return err
	}
	if hidden > 0 {
		e.logger.Info("letters that were replayed are left out: --with-replayed shows them", "letters", hidden)
	}
	return w.Flush()
}

// state words what became of a letter.
func state(f letter.Fate) string {
	switch f.State {
	case letter.Claimed:
		return "in doubt since " + second(f.At)
	case letter.Replayed:
		return "replayed " + second(f.At)
	}
	return f.State
}

func second(t time.Time) string { return t.UTC().Format(time.RFC3339) }

type deadlettersReplay struct {
	letterFlags
	All   bool          `help:"Replay every letter that the other flags choose; without --id this is required."`
	Again bool          `help:"Replay those too that were replayed before, or may have been: what they hold can count twice."`
	Lease time.Duration `help:"How long a claim of letters counts, half of it for Kafka's answer. A replay that was killed is gone on with one and a half of these later." default:"1m"`
	JSON  bool          `help:"Print what became of the letters as JSON." name:"json"`
}

// Check names what is wrong with the configuration.
func (c *deadlettersReplay) Check() error {
	return errors.Join(c.letterFlags.Check(), c.config().Validate())
}

func (c *deadlettersReplay) config() letter.Config {
	cfg := letter.DefaultConfig()
	cfg.Lease, cfg.Again = c.Lease, c.Again
	return cfg
}

// Run publishes the chosen letters again. One that is refused again by the
// processors becomes a new letter.
func (c *deadlettersReplay) Run(e *env) error {
	if len(c.ID) == 0 && !c.All {
		return fmt.Errorf("say which letters: --id, or --all")
	}
	kafka := c.Kafka.config()
	cl, err := broker.Client(kafka)
	if err != nil {
		return err
	}
	defer cl.Close()
	role := newRole(e, "deadletters", "")
	codec, err := role.codec(e.ctx, c.Registry, "")
	if err != nil {
		return err
	}
	door, err := lettersDoor(e.ctx, role, kafka, codec)
	if err == nil {
		var r *letter.Replayer
		deps := letter.Deps{Log: broker.NewLog(kafka, cl), Codec: codec, Publisher: broker.NewProducer(cl), Door: door, Logger: e.logger}
		if r, err = letter.NewReplayer(c.config(), deps); err == nil {
			err = c.tell(e, r)
		}
	}
	return errors.Join(err, role.group.Stop())
}

// tell runs the replay and prints what became of the letters, also of those
// before an error.
func (c *deadlettersReplay) tell(e *env, r *letter.Replayer) error {
	t, err := r.Run(e.ctx, c.chosen())
	if c.JSON {
		return errors.Join(err, json.NewEncoder(e.out).Encode(t), unsettled(t))
	}
	fmt.Fprintf(e.out, "%d replayed, %d found replayed by one that was broken off, %d passed over: replayed before, %d kept: refused again, or without a topic to go back to\n",
		t.Replayed, t.Settled, t.Before, t.Kept)
	if errors.Is(err, context.Canceled) {
		err = errors.New("broken off: a later replay goes on")
	}
	return errors.Join(err, unsettled(t))
}

// unsettled is an error where letters are left that were neither replayed nor
// refused.
func unsettled(t letter.Tally) error {
	var errs []error
	if t.Held > 0 {
		errs = append(errs, fmt.Errorf("%d letters are with another replay, or in doubt from one that ended: replay again once its claim has ended", t.Held))
	}
	if t.Unsure > 0 {
		errs = append(errs, fmt.Errorf("of %d letters it can't be told any more whether they were replayed: look at their readings, then --again", t.Unsure))
	}
	return errors.Join(errs...)
}
