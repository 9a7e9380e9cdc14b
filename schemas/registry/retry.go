package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/foodflow/foodflow/schemas"
)

// believedDown is how long Register trusts that a registry that could not be
// reached still can't.
const believedDown = 5 * time.Second

// maxBackoff bounds the pause between two tries.
const maxBackoff = 2 * time.Second

// outage remembers when the registry was last out of reach, as nanoseconds
// since the epoch; 0 means that it answered since.
type outage struct{ at atomic.Int64 }

func (o *outage) now() bool {
	at := o.at.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < believedDown
}

func (o *outage) set(down bool) {
	if down {
		o.at.Store(time.Now().UnixNano())
		return
	}
	o.at.Store(0)
}

// retry asks until there is an answer, a final refusal, no try left or no time
// left. What it returns is nil, schemas.ErrUnknownSchema, ErrIncompatible,
// schemas.ErrRegistry or, for a refusal of another kind, the refusal.
func retry[T any](ctx context.Context, c *Client, op string, attempts int, ask func(context.Context) (T, error)) (T, error) {
	var zero T
	pause := c.cfg.Backoff
	for try := 1; ; try++ {
		v, err := ask(ctx)
		if err == nil {
			c.down.set(false)
			c.metrics.requests.WithLabelValues(op, "ok").Inc()
			return v, nil
		}
		err, final := classify(op, err)
		if final {
			c.down.set(false)
			c.metrics.requests.WithLabelValues(op, "refused").Inc()
			return zero, err
		}
		c.metrics.requests.WithLabelValues(op, "unreachable").Inc()
		if try >= attempts || ctx.Err() != nil {
			c.down.set(ctx.Err() == nil)
			return zero, err
		}
		select {
		case <-ctx.Done():
			return zero, fmt.Errorf("%w: %w", schemas.ErrRegistry, ctx.Err())
		case <-time.After(pause/2 + rand.N(pause/2+1)):
		}
		pause = min(2*pause, maxBackoff)
	}
}

// classify says what a failed try means and whether another could end
// otherwise.
//
//nolint:revive // the verdict is about the error and reads best behind it
func classify(op string, err error) (_ error, final bool) {
	var re *sr.ResponseError
	switch {
	case errors.Is(err, schemas.ErrUnknownSchema):
		return err, true
	case !errors.As(err, &re):
		return fmt.Errorf("%w: %w", schemas.ErrRegistry, err), false
	case re.StatusCode == http.StatusNotFound && op == opSchema && re.ErrorCode == sr.ErrSchemaNotFound.Code:
		// A 404 without the registry's own code may come from a proxy or a
		// wrong path, and then says nothing about the schema.
		return schemas.ErrUnknownSchema, true
	case re.StatusCode == http.StatusConflict:
		return fmt.Errorf("%w: %w", ErrIncompatible, err), true
	case re.StatusCode == http.StatusUnprocessableEntity || re.StatusCode == http.StatusBadRequest:
		return fmt.Errorf("registry refuses: %w", err), true
	}
	// 401 and 403 too: a credential that is mended lets the stream go on, while
	// a record taken for poison would be set aside for good.
	return fmt.Errorf("%w: status %d: %w", schemas.ErrRegistry, re.StatusCode, err), false
}
