package letter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// Config says how to replay.
type Config struct {
	// Lease is how long what is published under a claim counts.
	Lease time.Duration
	// Again takes letters too that were replayed, or that are in doubt for good.
	Again bool
	// Letters and Bytes bound how many letters are claimed at once.
	Letters, Bytes int
}

// DefaultConfig gives half a minute for a claim and its publication, and as much
// for clocks that differ.
func DefaultConfig() Config { return Config{Lease: time.Minute, Letters: 256, Bytes: 4 << 20} }

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if c.Lease < time.Second || c.Lease > longestLease {
		errs = append(errs, fmt.Errorf("lease: must be between 1s and %v", longestLease))
	}
	if c.Letters < 1 || c.Bytes < 1 {
		errs = append(errs, errors.New("letters, bytes: must be positive"))
	}
	return errors.Join(errs...)
}

// Publisher publishes with acks from all in-sync replicas; broker.Producer is one.
type Publisher interface {
	Publish(ctx context.Context, msgs []broker.Message) error
}

// Deps are what a replay works with.
type Deps struct {
	Log       *broker.Log
	Codec     Codec
	Publisher Publisher
	Door      Door
	Logger    *slog.Logger
}

// Tally is what became of the chosen letters.
type Tally struct {
	// Replayed were published now.
	Replayed int `json:"replayed"`
	// Settled had been published by a replay that ended before it said so.
	Settled int `json:"settled"`
	// Before were replayed before, and are passed over.
	Before int `json:"replayed_before"`
	// Kept can't be taken as things are.
	Kept int `json:"kept"`
	// Held are claimed by another replay, or by one that ended so lately that it
	// can't be told yet what it got through; this one too, if it was too slow.
	Held int `json:"held"`
	// Unsure may have been published or not, and it can't be told any more.
	Unsure int `json:"unsure"`
}

// Replayer replays letters. One goroutine calls it.
type Replayer struct {
	cfg    Config
	deps   Deps
	run    plant.ID
	reader *Reader
	tally  Tally
	batch  []schemas.DeadLetter
	bytes  int
}

// NewReplayer makes one run of replays.
func NewReplayer(cfg Config, deps Deps) (*Replayer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Replayer{cfg: cfg, deps: deps, run: plant.NewID(), reader: NewReader(deps.Log, deps.Codec)}, nil
}

// Run replays the letters that choose wants. An error leaves at most one batch of
// letters in doubt, which a later run settles.
func (r *Replayer) Run(ctx context.Context, choose func(*schemas.DeadLetter) bool) (Tally, error) {
	err := r.reader.Each(ctx, func(d *schemas.DeadLetter, f Fate) error {
		switch {
		case !choose(d):
			return nil
		case f.State == Replayed && !r.cfg.Again:
			r.tally.Before++
			return nil
		}
		r.batch = append(r.batch, *d)
		if d.Value != nil {
			r.bytes += len(*d.Value)
		}
		if len(r.batch) < r.cfg.Letters && r.bytes < r.cfg.Bytes {
			return nil
		}
		return r.flush(ctx)
	})
	if err == nil {
		err = r.flush(ctx)
	}
	return r.tally, err
}

// item is a letter on its way.
type item struct {
	letter   *schemas.DeadLetter
	messages []broker.Message
	fate     Fate
	stored   map[int]bool // what an earlier replay of its claim got through
}

// flush takes the batch through claim, publication and mark.
func (r *Replayer) flush(ctx context.Context) error {
	items, err := r.open(ctx)
	r.batch, r.bytes = nil, 0
	if err != nil || len(items) == 0 {
		return err
	}
	began := time.Now()
	if items, err = r.claim(ctx, items); err != nil || len(items) == 0 {
		return err
	}
	if err := fault.Point("letter.after_claim"); err != nil {
		return err
	}
	if items, err = r.settle(ctx, items); err != nil || len(items) == 0 {
		return err
	}
	// What isn't acknowledged by now may be stored too late to count.
	limit := r.cfg.Lease/2 - time.Since(began)
	answered, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := r.deps.Publisher.Publish(answered, publication(items)); err != nil {
		if ctx.Err() != nil || answered.Err() == nil {
			return fmt.Errorf("publishing letters: %w", err)
		}
		return r.tooSlow(ctx, items)
	}
	if err := fault.Point("letter.after_publish"); err != nil {
		return err
	}
	if time.Since(began) > r.cfg.Lease/2 {
		return r.tooSlow(ctx, items)
	}
	if err := r.mark(ctx, items, Replayed); err != nil {
		return err
	}
	for i := range items {
		if len(items[i].stored) == len(items[i].messages) {
			r.tally.Settled++
		} else {
			r.tally.Replayed++
		}
	}
	return fault.Point("letter.after_mark")
}

// tooSlow leaves letters in doubt: what was published may be too late to count.
func (r *Replayer) tooSlow(ctx context.Context, items []item) error {
	r.tally.Held += len(items)
	r.deps.Logger.WarnContext(ctx, "the claim was too short for Kafka; a later replay settles the letters", "letters", len(items), "lease", r.cfg.Lease)
	return nil
}

// open asks the door what the letters hold.
func (r *Replayer) open(ctx context.Context) (items []item, err error) {
	for i := range r.batch {
		d := &r.batch[i]
		messages, err := r.deps.Door(ctx, d)
		if Refused(err) {
			r.tally.Kept++
			r.deps.Logger.WarnContext(ctx, "refused again", "dead_letter", d.ID, "topic", d.Topic, "error", err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("opening letter %s: %w", d.ID, err)
		}
		items = append(items, item{letter: d, messages: messages})
	}
	return items, nil
}

// claim says that this run has the letters, and gives those for which that holds.
func (r *Replayer) claim(ctx context.Context, items []item) (mine []item, err error) {
	if err := fault.Point("letter.before_claim"); err != nil {
		return nil, err
	}
	items = slices.DeleteFunc(items, func(it item) bool {
		gone := r.reader.book.Of(it.letter.ID).State == Replayed && !r.cfg.Again // since it was chosen
		if gone {
			r.tally.Before++
		}
		return gone
	})
	if err := r.mark(ctx, items, Claimed); err != nil {
		return nil, err
	}
	if err := r.reader.catchUp(ctx); err != nil {
		return nil, err
	}
	held, until := 0, time.Time{}
	for _, it := range items {
		it.fate = r.reader.book.Of(it.letter.ID)
		switch {
		case it.fate.State == Claimed && it.fate.Run == r.run:
			mine = append(mine, it)
		case it.fate.State == Replayed:
			r.tally.Before++
		default:
			held++
			if free := it.fate.free(); free.After(until) {
				until = free
			}
		}
	}
	if r.tally.Held += held; held > 0 {
		r.deps.Logger.WarnContext(ctx, "letters are with another replay, or with one that ended", "letters", held, "until", until.UTC())
	}
	return mine, nil
}

// mark publishes marks of a state.
func (r *Replayer) mark(ctx context.Context, items []item, state string) error {
	msgs := make([]broker.Message, len(items))
	for i := range items {
		d := items[i].letter
		m := schemas.LetterMark{State: state, Run: r.run}
		if state == Claimed {
			f := r.reader.book.Of(d.ID)
			if m.After, m.LeaseMS = f.Run, r.cfg.Lease.Milliseconds(); f.State == Replayed {
				m.State = again
			}
		}
		v, err := r.deps.Codec.AppendDeadLetter(nil, &schemas.DeadLetter{
			ID: d.ID, Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, TS: d.TS, Reason: d.Reason, Detail: state, FailedAt: d.FailedAt, Mark: &m,
		})
		if err != nil {
			return fmt.Errorf("encoding mark of letter: %w", err)
		}
		msgs[i] = broker.Message{Topic: broker.TopicDeadLetters, Key: d.ID[:], Value: v}
	}
	if err := r.deps.Publisher.Publish(ctx, msgs); err != nil {
		return fmt.Errorf("marking letters: %w", err)
	}
	return nil
}

// publication is what is missing of the letters, each with its origin.
func publication(items []item) (out []broker.Message) {
	for i := range items {
		it := &items[i]
		for n, m := range it.messages {
			if it.stored[n] {
				continue
			}
			o := Origin{Letter: it.letter.ID, Run: it.fate.Run, Index: n, Until: it.fate.until().UnixMilli()}
			m.Headers = append(m.Headers[:len(m.Headers):len(m.Headers)], broker.Header(HeaderKey, o.Value()))
			out = append(out, m)
		}
	}
	return out
}
