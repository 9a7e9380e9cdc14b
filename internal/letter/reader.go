package letter

import (
	"context"
	"fmt"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// Codec reads and writes letters; schemas.Codec is one.
type Codec interface {
	DecodeDeadLetter(frame []byte, d *schemas.DeadLetter) error
	AppendDeadLetter(dst []byte, d *schemas.DeadLetter) ([]byte, error)
}

// Reader reads letters and what became of them. It is for one goroutine.
type Reader struct {
	log   *broker.Log
	codec Codec
	book  *Book
	read  map[int32]int64 // how far the book goes
}

// NewReader makes a reader; nothing is read.
func NewReader(log *broker.Log, codec Codec) *Reader {
	return &Reader{log: log, codec: codec, book: NewBook()}
}

// Each calls fn with every letter that is there, once each (a crash can have
// written copies), and with what became of it by the marks that are there now.
func (r *Reader) Each(ctx context.Context, fn func(d *schemas.DeadLetter, f Fate) error) error {
	if err := r.catchUp(ctx); err != nil {
		return err
	}
	seen := map[plant.ID]bool{}
	_, err := r.scan(ctx, nil, func(d *schemas.DeadLetter, _ int64) error {
		if d.Mark != nil || seen[d.ID] {
			return nil
		}
		seen[d.ID] = true
		return fn(d, r.book.Of(d.ID))
	})
	return err
}

// catchUp enters the marks that have come.
func (r *Reader) catchUp(ctx context.Context) error {
	read, err := r.scan(ctx, r.read, func(d *schemas.DeadLetter, stored int64) error {
		if d.Mark != nil {
			r.book.Enter(d.ID, d.Mark, time.UnixMilli(stored))
		}
		return nil
	})
	if err == nil {
		r.read = read
	}
	return err
}

// scan calls fn with each letter and mark of the topic from the given offsets on,
// and when the broker stored it, Unix milliseconds; it gives how far it read.
func (r *Reader) scan(ctx context.Context, from map[int32]int64, fn func(d *schemas.DeadLetter, stored int64) error) (map[int32]int64, error) {
	return r.log.ReadFrom(ctx, broker.TopicDeadLetters, from, func(s *broker.Stored) error {
		var d schemas.DeadLetter
		if err := r.codec.DecodeDeadLetter(s.Value, &d); err != nil {
			return fmt.Errorf("reading dead letters: %w", err)
		}
		return fn(&d, s.TS)
	})
}
