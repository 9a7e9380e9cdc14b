package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/feed"
)

// Sender takes readings and events and returns nil once they are acknowledged;
// feed.Client is one. An error is final.
type Sender interface {
	Readings(ctx context.Context, readings []feed.Reading) error
	Events(ctx context.Context, events []feed.Event) error
}

// Deps are what a simulator needs.
type Deps struct {
	Sender Sender
	Plant  demo.Plant
	Logger *slog.Logger
	// Progress is told of each step; nil: nobody is.
	Progress func(Progress)
	// Now is the clock; nil: the machine's.
	Now func() time.Time
}

// Progress is how far the simulator is.
type Progress struct {
	From, Until, Now int64 // Unix milliseconds: begin, played, present
	Readings, Events int64 // acknowledged, copies not counted
	Live             bool  // has caught up
}

// Simulator plays the plant.
type Simulator struct {
	cfg  Config
	deps Deps
}

// The most device time and readings of one step. Steps are short, so that a
// crash repeats little.
const (
	stepMS      = int64(10_000)
	requestSize = 2_000
)

// New makes a simulator; nothing is opened.
func New(cfg Config, deps Deps) (*Simulator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Progress == nil {
		deps.Progress = func(Progress) {}
	}
	return &Simulator{cfg: cfg, deps: deps}, nil
}

// Run plays until ctx ends or Config.Until is reached, and then returns nil.
func (s *Simulator) Run(ctx context.Context) error {
	j, err := openJournal(s.cfg.Truth)
	if err != nil {
		return err
	}
	p := s.begin(j)
	err = p.play(ctx)
	if cerr := j.close(); err == nil {
		err = cerr
	}
	if errors.Is(err, context.Canceled) {
		err = nil // asked to end; what was sent and not marked is sent again
	}
	return err
}

// play is one process's part of a run.
type play struct {
	*Simulator
	j      *journal
	model  *model
	random random   // of copies; not part of the truth
	head   []record // of the first group: the run's record when it is new
	Progress
}

// begin goes on with the journal's last run, or begins one.
func (s *Simulator) begin(j *journal) *play {
	now := s.deps.Now().UnixMilli()
	p := &play{Simulator: s, j: j, random: newRandom(s.cfg.Seed, now, "copies")}
	if last := j.last; last != nil && last.Seed == s.cfg.Seed && last.EveryMS == s.cfg.AnomalyEvery.Milliseconds() && now-last.Until <= s.cfg.CatchUp.Milliseconds() {
		p.model = newModel(&s.deps.Plant, last.Seed, last.Origin, s.cfg.AnomalyEvery)
		// Played in steps too, so that the plan behind is forgotten on the way.
		for p.model.until < last.Until {
			p.model.advance(min(p.model.until+minuteMS, last.Until))
		}
		p.From, p.Until, p.Progress.Readings, p.Progress.Events = last.Origin, last.Until, last.Readings, last.Events
		s.deps.Logger.Info("going on with a simulation", "origin", time.UnixMilli(last.Origin).UTC(), "until", time.UnixMilli(last.Until).UTC())
		return p
	}
	origin := now - s.cfg.Backfill.Milliseconds()
	origin -= origin % minuteMS
	if j.last != nil {
		// Runs never overlap; the next begins on a whole minute.
		origin = max(origin, j.last.Until-j.last.Until%minuteMS+minuteMS)
	}
	p.model = newModel(&s.deps.Plant, s.cfg.Seed, origin, s.cfg.AnomalyEvery)
	p.head = []record{{T: kindRun, Seed: s.cfg.Seed, Origin: origin, EveryMS: s.cfg.AnomalyEvery.Milliseconds()}}
	p.From, p.Until = origin, origin
	s.deps.Logger.Info("beginning a simulation", "seed", s.cfg.Seed, "origin", time.UnixMilli(origin).UTC())
	return p
}

func (p *play) play(ctx context.Context) error {
	ticker := time.NewTicker(p.cfg.Tick)
	defer ticker.Stop()
	for {
		now := p.deps.Now().UnixMilli()
		if p.cfg.Until > 0 {
			now = min(now, p.cfg.Until)
		}
		for p.Until < now {
			if err := p.step(ctx, min(p.Until+stepMS, now)); err != nil {
				return err
			}
			p.Now, p.Live = now, p.Until >= now
			p.deps.Progress(p.Progress)
		}
		if p.cfg.Until > 0 && p.Until >= p.cfg.Until {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// step plays up to a time, sends, and writes down what was sent. Events go
// first, so that a reading finds its line in the state it was in.
func (p *play) step(ctx context.Context, to int64) error {
	b := p.model.advance(to)
	for events := b.events; len(events) > 0; {
		n := min(len(events), requestSize)
		if err := p.twice(func() error { return p.deps.Sender.Events(ctx, events[:n]) }); err != nil {
			return fmt.Errorf("sending line events: %w", err)
		}
		events = events[n:]
	}
	for readings := b.readings; len(readings) > 0; {
		n := min(len(readings), requestSize)
		if err := p.twice(func() error { return p.deps.Sender.Readings(ctx, readings[:n]) }); err != nil {
			return fmt.Errorf("sending readings: %w", err)
		}
		readings = readings[n:]
	}
	p.Until = to
	p.Progress.Readings += int64(len(b.readings))
	p.Progress.Events += int64(len(b.events))
	mark := record{T: kindMark, Until: to, Readings: p.Progress.Readings, Events: p.Progress.Events}
	if err := p.j.append(append(p.head, b.records...), mark); err != nil {
		return err
	}
	p.head = nil
	return nil
}

// twice sends, and now and then sends a copy of what was acknowledged, as a
// gateway does that lost the answer.
func (p *play) twice(send func() error) error {
	if err := send(); err != nil {
		return err
	}
	if p.random.Float64() < p.cfg.Copies {
		return send()
	}
	return nil
}
